"""A server whose issuer is changed: accounts are named by issuer and subject together (OpenID Connect Core 5.7)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edges.http.api import Answer, Api, Caller, open_api
from tests.edges.http.issuer import Issuer, open_issuer
from tests.edges.http.test_oidc import cookie_header, cookies_of, log_in


class TwoIssuers:
    """A server whose configuration names one of two issuers that number their accounts alike."""

    def __init__(self, api: Api, first: Issuer, second: Issuer) -> None:
        self.api, self.first, self.second = api, first, second
        self.chosen = first

    async def log_in(self, email: str, *, number: str = "7") -> Answer:
        self.chosen.change_claims = lambda claims: claims | {"sub": number, "email": email}
        return await log_in(self.api, self.chosen)

    def browser(self, answer: Answer) -> Caller:
        return Caller("", self.api.address, headers={"cookie": cookie_header(cookies_of(answer))})


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[TwoIssuers]:
    async with open_issuer() as first, open_issuer() as second:
        made: list[TwoIssuers] = []
        async with open_api(tmp_path, oidc=lambda: made[0].chosen.client) as api:
            made.append(TwoIssuers(api, first, second))
            for name in ("alice", "carol"):
                api.user(name)
            yield made[0]


async def test_another_issuers_account_of_the_same_subject_is_another_user(two: TwoIssuers) -> None:
    carol = two.browser(await two.log_in("carol@example.com"))
    assert (await carol.get("/api/v1/me")).json["name"] == "carol@example.com"
    two.chosen = two.second
    assert (await two.log_in("mallory@example.com")).reference == "oidc-unknown-person"
    alice = two.browser(await two.log_in("alice@example.com"))
    assert (await alice.get("/api/v1/me")).json["name"] == "alice@example.com"
    assert (await carol.get("/api/v1/me")).status == 401  # a session of the former issuer


async def test_a_new_issuer_binds_anew_by_the_verified_address(two: TwoIssuers) -> None:
    await two.log_in("carol@example.com", number="7")
    two.chosen = two.second
    carol = two.browser(await two.log_in("carol@example.com", number="12"))
    assert (await carol.get("/api/v1/me")).json["name"] == "carol@example.com"
    person = await two.api.store.store.person_by_id("carol")
    assert person is not None
    assert (person.issuer, person.subject) == (two.second.url, "12")
    assert (await two.log_in("carol@example.com", number="13")).reference == "subject-bound"
    two.chosen = two.first  # and back: the address decides again
    assert (await two.log_in("carol@example.com", number="7")).status == 302


async def test_groups_of_a_former_issuer_make_no_member(two: TwoIssuers) -> None:
    api = two.api
    api.team("core")
    api.write("UPDATE teams SET groups = ? WHERE name = ?", '["developers"]', "core")
    two.first.change_claims = lambda claims: claims | {"groups": ["developers"]}
    begun = (await api.anonymous.post("/auth/device")).json
    two.first.confirmed_devices.add("device-1")
    made = await api.anonymous.post("/auth/device/token", {"handle": begun["handle"]})
    script = Caller("script", api.address, headers={"authorization": f"Bearer {made.json['token']}"})
    assert (await script.get("/api/v1/me")).json["teams"] == {"core": "member"}
    two.chosen = two.second
    assert (await script.get("/api/v1/me")).json["teams"] == {}
