"""bcrypt in a thread of its own: one check takes a quarter of a second of one core by design."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from danube_pkg.core.errors import Unavailable

THREADS = 1
"""One core of a typical server with two, so that logins do not stop builds."""

WAITING = 20
"""Checks that may wait: five seconds of work. Further logins are refused, so that the queue is bounded."""

UNKNOWN_PASSWORD = b"$2b$12$eImiTXuWVxfM37uY4JANjOehvqIUfRTGYr7Xj6rGI0GWwMwJSdLsG"
"""A hash of an unknown password, for logins with an unknown address."""


def stand_in(like: str) -> bytes:
    """A hash that no password matches, with the cost factor of `like`."""
    return f"$2b${like[4:6]}$".encode() + UNKNOWN_PASSWORD[7:]


class BcryptPasswords:
    """`core.identity.ports.PasswordCheck`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bcrypt")
        self._waiting = 0
        self._stand_in = UNKNOWN_PASSWORD

    async def matches(self, password: str, hash_: str) -> bool:
        if self._waiting >= WAITING:
            raise Unavailable("login-busy", "too many logins at this moment", hint="try again in a few seconds")
        self._waiting += 1
        try:
            if hash_:
                self._stand_in = stand_in(hash_)  # unknown addresses take as long as known ones
            known = hash_.encode() or self._stand_in
            loop = asyncio.get_running_loop()
            is_right = await loop.run_in_executor(self._threads, _check, password.encode(errors="replace"), known)
            return is_right and bool(hash_)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _check(password: bytes, known: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, known)
    except ValueError:
        return False  # not a hash; the configuration's validation reports it
