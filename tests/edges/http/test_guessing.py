"""What a stranger learns of passwords, and how often they may try."""

import bcrypt
import pytest

from danube_pkg.adapters.passwords.bcrypt_hashes import stand_in
from danube_pkg.core.errors import Unauthenticated
from danube_pkg.services.identity.passwords import (
    ACCOUNT_TRIES,
    ADDRESS_TRIES,
    Passwords,
    TooManyTries,
)
from tests.edges.http.api import PASSWORD, Api

ADDRESS = "192.0.2.1"


class CountingCheck:
    """In bcrypt's place: how often it would have been worked out."""

    def __init__(self) -> None:
        self.count = 0

    async def matches(self, password: str, hash_: str) -> bool:
        self.count += 1
        return bool(hash_) and password == PASSWORD


def passwords(api: Api, check: CountingCheck) -> Passwords:
    return Passwords(api.store.store, check, api.house.clock)


async def guess(door: Passwords, name: str, address: str = ADDRESS) -> None:
    with pytest.raises(Unauthenticated):
        await door.log_in(f"{name}@example.com", "a guess", address)


async def test_somebody_unknown_costs_what_somebody_known_costs(api: Api) -> None:
    api.user("alice")
    check = CountingCheck()
    door = passwords(api, check)
    for name in ("alice", "mallory"):
        await guess(door, name)
    with pytest.raises(Unauthenticated):
        await door.log_in("mallory@example.com", "longer than bcrypt takes" * 10, ADDRESS)
    assert check.count == 3


@pytest.mark.parametrize("cost", [10, 11])
async def test_the_hash_for_nobody_is_as_slow_as_those_of_the_people_here(cost: int) -> None:
    theirs = bcrypt.hashpw(b"a password", bcrypt.gensalt(cost)).decode()
    nobody = stand_in(theirs.replace("$2b$", "$2y$"))  # as htpasswd writes it
    assert nobody.startswith(f"$2b${cost}$".encode())
    assert len(nobody) == len(theirs)
    assert not bcrypt.checkpw(b"a password", nobody)


async def test_guessing_is_bounded_for_an_address_whomever_it_guesses_at(api: Api) -> None:
    api.user("alice")
    door = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await guess(door, f"user-{number}")
    with pytest.raises(TooManyTries) as refused:
        await door.log_in("alice@example.com", PASSWORD, ADDRESS)
    assert 0 < refused.value.retry_seconds <= 300
    assert (await door.log_in("alice@example.com", PASSWORD, "192.0.2.2")).id == "alice"


async def test_an_account_of_ones_own_gives_no_further_guesses(api: Api) -> None:
    api.user("alice")
    door = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await door.log_in("alice@example.com", PASSWORD, ADDRESS)
        await guess(door, f"user-{number}")
    with pytest.raises(TooManyTries):
        await door.log_in("bob@example.com", "a guess", ADDRESS)


async def test_a_neighbour_in_the_same_network_of_version_6_is_the_same_stranger(api: Api) -> None:
    door = passwords(api, CountingCheck())
    for number in range(ADDRESS_TRIES):
        await guess(door, f"user-{number}", f"2001:db8::{number:x}")
    with pytest.raises(TooManyTries):
        await door.log_in("mallory@example.com", "a guess", "2001:db8::ffff")


async def test_a_right_password_forgets_the_mistyped_ones(api: Api) -> None:
    api.user("alice")
    door = passwords(api, CountingCheck())
    for _ in range(ACCOUNT_TRIES - 1):
        await guess(door, "alice")
    await door.log_in("alice@example.com", PASSWORD, ADDRESS)
    for _ in range(ACCOUNT_TRIES - 1):
        await guess(door, "alice")
