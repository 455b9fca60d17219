"""What an attacker learns from guessing passwords, and how many guesses are possible."""

import bcrypt
import pytest

from danube_pkg.adapters.passwords.bcrypt_hashes import stand_in
from danube_pkg.core.errors import Unauthenticated
from danube_pkg.services.identity.passwords import (
    ACCOUNT_TRIES,
    ADDRESS_TRIES,
    ALL_ADDRESSES_TRIES,
    Passwords,
    TooManyTries,
)
from tests.edges.http.api import PASSWORD, Api

ADDRESS = "192.0.2.1"


class CountingCheck:
    """Takes the place of bcrypt, and counts how often it would have been computed."""

    def __init__(self) -> None:
        self.count = 0

    async def matches(self, password: str, hash_: str) -> bool:
        self.count += 1
        return bool(hash_) and password == PASSWORD


def passwords(api: Api, check: CountingCheck) -> Passwords:
    return Passwords(api.store.store, check, api.parts.store.clock)


async def guess(guarded: Passwords, name: str, address: str = ADDRESS) -> None:
    with pytest.raises(Unauthenticated):
        await guarded.log_in(f"{name}@example.com", "a guess", address)


async def test_an_unknown_user_costs_as_much_as_a_known_one(api: Api) -> None:
    api.user("alice")
    check = CountingCheck()
    guarded = passwords(api, check)
    for name in ("alice", "mallory"):
        await guess(guarded, name)
    with pytest.raises(Unauthenticated):
        await guarded.log_in("mallory@example.com", "longer than bcrypt takes" * 10, ADDRESS)
    assert check.count == 3


@pytest.mark.parametrize("cost", [10, 11])
async def test_the_hash_for_unknown_users_is_as_slow_as_those_of_users(cost: int) -> None:
    theirs = bcrypt.hashpw(b"a password", bcrypt.gensalt(cost)).decode()
    substitute = stand_in(theirs.replace("$2b$", "$2y$"))  # as htpasswd writes it
    assert substitute.startswith(f"$2b${cost}$".encode())
    assert len(substitute) == len(theirs)
    assert not bcrypt.checkpw(b"a password", substitute)


async def test_guesses_from_an_address_are_limited_over_all_users(api: Api) -> None:
    api.user("alice")
    guarded = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await guess(guarded, f"user-{number}")
    with pytest.raises(TooManyTries) as refused:
        await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)
    assert 0 < refused.value.retry_seconds <= 300
    assert (await guarded.log_in("alice@example.com", PASSWORD, "192.0.2.2")).id == "alice"


async def test_logging_in_between_guesses_gives_no_further_guesses(api: Api) -> None:
    api.user("alice")
    guarded = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)
        await guess(guarded, f"user-{number}")
    with pytest.raises(TooManyTries):
        await guarded.log_in("bob@example.com", "a guess", ADDRESS)


async def test_addresses_in_one_ipv6_network_count_as_one(api: Api) -> None:
    guarded = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await guess(guarded, f"user-{number}", f"2001:db8::{number:x}")
    with pytest.raises(TooManyTries):
        await guarded.log_in("mallory@example.com", "a guess", "2001:db8::ffff")


async def test_a_correct_password_resets_the_count_of_the_account(api: Api) -> None:
    api.user("alice")
    guarded = passwords(api, CountingCheck())
    for _ in range(ACCOUNT_TRIES - 1):
        await guess(guarded, "alice")
    await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)
    for _ in range(ACCOUNT_TRIES - 1):
        await guess(guarded, "alice")


async def test_guesses_from_elsewhere_do_not_keep_the_user_out(api: Api) -> None:
    api.user("alice")
    guarded = passwords(api, CountingCheck())
    for _ in range(ACCOUNT_TRIES):
        await guess(guarded, "alice", "198.51.100.7")
    with pytest.raises(TooManyTries):
        await guarded.log_in("alice@example.com", PASSWORD, "198.51.100.7")
    assert (await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)).id == "alice"


async def test_many_addresses_that_guess_together_are_limited_and_a_known_address_is_exempt(api: Api) -> None:
    api.user("alice")
    guarded = passwords(api, CountingCheck())
    await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)
    for number in range(ALL_ADDRESSES_TRIES):
        await guess(guarded, "alice", f"198.51.100.{number}")
    with pytest.raises(TooManyTries):
        await guarded.log_in("alice@example.com", "a guess", "203.0.113.1")
    assert (await guarded.log_in("alice@example.com", PASSWORD, ADDRESS)).id == "alice"
