"""Login with a password, where Danube checks the configuration's own hashes.

The response time does not reveal whether an account exists: an unknown address costs one bcrypt as well. Tries are
limited for each account from one network address, for each address, and for each account over all addresses; above the
limit even the right password has to wait. The last limit is high, and an address from which the user has logged in
before is exempt from it: otherwise any client could keep a user out whose e-mail address it knows.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

from danube_pkg.core.errors import Permanent, Unauthenticated
from danube_pkg.core.identity.people import Person
from danube_pkg.core.identity.ports import AccessStore, PasswordCheck
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Mutable

ACCOUNT_TRIES = 10
"""For an account, from one network address."""

ALL_ADDRESSES_TRIES = 100
"""For an account, from all addresses that did not log in to it before: many machines guess together."""

ADDRESS_TRIES = 30
"""More than for an account: a whole team may be behind one address."""

WINDOW_SECONDS = 300.0

TRACKED = 10_000
"""Accounts, and addresses, whose tries are remembered; the oldest is forgotten first."""

MAX_PASSWORD_BYTES = 72
"""bcrypt ignores the bytes after these; a longer password is refused instead of being cut."""


class TooManyTries(Permanent):
    """The limit of failed logins is reached. retry_seconds: how long to wait."""

    status = 429

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(
            "too-many-logins",
            f"too many failed logins; wait {retry_seconds} s",
            cause="logins are rate-limited for each account and each address, against guessing of passwords",
            hint="wait; an administrator on the server's machine needs no login: --data DIR",
        )
        self.retry_seconds = retry_seconds


class _Tries(Mutable):
    """Failed tries in a window of time that begins with the first, at `since` (monotonic seconds)."""

    since: float
    count: int = 0


class _Limit:
    def __init__(self, max_tries: int) -> None:
        self._max_tries = max_tries
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_seconds(self, key: str, now: float) -> int:
        tries = self._tries.get(key)
        if tries is None or now >= tries.since + WINDOW_SECONDS or tries.count < self._max_tries:
            return 0
        return int(tries.since + WINDOW_SECONDS - now) + 1

    def failed(self, key: str, now: float) -> None:
        tries = self._tries.get(key)
        if tries is None or now >= tries.since + WINDOW_SECONDS:
            tries = self._tries[key] = _Tries(now)
        tries.count += 1
        self._tries.move_to_end(key)
        while len(self._tries) > TRACKED:
            self._tries.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget all tries."""
        self._tries.pop(key, None)

    def discount(self, key: str) -> None:
        """Forget the last try; those before it still count."""
        if tries := self._tries.get(key):
            tries.count -= 1


class Passwords:
    """Checks passwords, with a limit on tries."""

    def __init__(self, store: AccessStore, check: PasswordCheck, clock: Clock) -> None:
        self._store = store
        self._check = check
        self._clock = clock
        self._accounts = _Limit(ALL_ADDRESSES_TRIES)
        self._pairs = _Limit(ACCOUNT_TRIES)
        self._known: OrderedDict[str, None] = OrderedDict()
        """Pairs of account and address that logged in before, newest last."""
        self._addresses = _Limit(ADDRESS_TRIES)

    def begin(self, email: str, address: str) -> Callable[[], None]:
        """Count a try, here or at Dex, as failed; calling the result marks it as successful. Raises TooManyTries.

        It is counted before the password is checked, or many tries at once would not be limited.
        """
        account, network, now = email.strip().lower(), _network(address), self._clock.monotonic()
        pair = f"{account} {network}"
        limits = [(self._pairs, pair), (self._addresses, network)]
        if pair not in self._known:
            limits.append((self._accounts, account))
        wait = max(limit.wait_seconds(key, now) for limit, key in limits)
        if wait:
            raise TooManyTries(wait)
        for limit, key in limits:
            limit.failed(key, now)

        def succeeded() -> None:
            self._pairs.succeeded(pair)
            if pair not in self._known:
                self._accounts.discount(account)
            self._known[pair] = None
            self._known.move_to_end(pair)
            while len(self._known) > TRACKED:
                self._known.popitem(last=False)
            self._addresses.discount(network)  # not all: a user could otherwise guess at other accounts without a limit

        return succeeded

    async def log_in(self, email: str, password: str, address: str) -> Person:
        """Raises Unauthenticated, TooManyTries, Unavailable."""
        succeeded = self.begin(email, address)
        person = await self._store.person_by_email(email.strip().lower())
        hash_ = person.password_hash if person is not None else ""
        fits = len(password.encode(errors="replace")) <= MAX_PASSWORD_BYTES and "\0" not in password
        right = await self._check.matches(password if fits else "", hash_)
        if person is None or not right or not fits:
            raise Unauthenticated(
                "login-failed",
                "the address or the password is wrong",
                hint="type both again; an administrator changes a password in users.yaml",
            )
        succeeded()
        return person


def _network(address: str) -> str:
    """What tries are counted by: an IPv4 address, or an IPv6 /64, which usually is one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if parsed.version == 6 else address
