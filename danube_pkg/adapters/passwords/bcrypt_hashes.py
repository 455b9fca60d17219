"""bcrypt in threads of its own: one check takes a quarter of a second of one core by design."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from danube_pkg.core.errors import Unavailable

THREADS = 1
"""Half of the machine that we budget for: logins must not stop the builds."""

WAITING = 20
"""Five seconds of work; beyond it a burst of logins is refused instead of growing."""

NOBODY = b"$2b$12$eImiTXuWVxfM37uY4JANjOehvqIUfRTGYr7Xj6rGI0GWwMwJSdLsG"
"""A hash whose password nobody knows: what an address without an account is checked against."""


def stand_in(like: str) -> bytes:
    """A hash that no password fits, as slow to check as that one."""
    return f"$2b${like[4:6]}$".encode() + NOBODY[7:]


class BcryptPasswords:
    """`core.identity.ports.PasswordCheck`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bcrypt")
        self._waiting = 0
        self._nobody = NOBODY

    async def matches(self, password: str, hash_: str) -> bool:
        if self._waiting >= WAITING:
            raise Unavailable("login-busy", "too many people log in at this moment", hint="try again in a few seconds")
        self._waiting += 1
        try:
            if hash_:
                self._nobody = stand_in(hash_)  # an unknown address takes as long as the people here do
            known = hash_.encode() or self._nobody
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._threads, _check, password.encode(errors="replace"), known)
            return right and bool(hash_)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _check(password: bytes, known: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, known)
    except ValueError:
        return False  # what stands in the configuration is no hash; its own check says so there
