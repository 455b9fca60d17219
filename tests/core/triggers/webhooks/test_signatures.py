"""Each forge's signature: valid ones, and every kind of forgery that an attacker could try."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from danube_pkg.core.errors import Unauthenticated
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks.signatures import check_signature, signing_key, standard_signature
from tests.core.triggers.webhooks.recorded import (
    SECRET,
    Recorded,
    one,
    recorded,
)

NOW = 1_800_000_000.0
KEY = b"0123456789abcdef0123456789abcdef"
SIGNING = b"whsec_" + base64.b64encode(KEY)
PUSHES = [one(forge, "push-4" if forge is Forge.GITHUB else "push") for forge in Forge]


def check(
    each: Recorded, headers: dict[str, str], body: bytes | None = None, *secrets: bytes, now: float = NOW
) -> None:
    check_signature(each.forge, headers, each.body if body is None else body, secrets or (SECRET,), now)


def refusal(*arguments: object, **more: object) -> str:
    with pytest.raises(Unauthenticated) as refused:
        check(*arguments, **more)  # type: ignore[arg-type]
    return refused.value.reference


def test_githubs_own_example() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    check_signature(Forge.GITHUB, {"x-hub-signature-256": signature}, b"Hello, World!", [SECRET], NOW)


@pytest.mark.parametrize("each", recorded(), ids=str)
def test_a_signed_delivery_is_accepted(each: Recorded) -> None:
    check(each, each.signed())


@pytest.mark.parametrize("each", PUSHES, ids=str)
def test_both_secrets_are_accepted_while_one_is_being_replaced(each: Recorded) -> None:
    check(each, each.signed(b"the new one"), None, SECRET, b"the new one")
    check(each, each.signed(), None, SECRET, b"the new one")
    assert refusal(each, each.signed(b"a third"), None, SECRET, b"the new one") == "hook-signature-wrong"


@pytest.mark.parametrize("each", PUSHES, ids=str)
def test_a_delivery_without_a_signature_is_refused(each: Recorded) -> None:
    assert refusal(each, dict(each.headers)) == "hook-signature-missing"
    empty = {name: "" if name not in each.headers else value for name, value in each.signed().items()}
    assert refusal(each, empty) == "hook-signature-missing"


@pytest.mark.parametrize("each", PUSHES, ids=str)
def test_a_server_without_a_secret_refuses_every_delivery(each: Recorded) -> None:
    with pytest.raises(Unauthenticated, match="signature is wrong"):
        check_signature(each.forge, each.signed(), each.body, [], NOW)


@pytest.mark.parametrize("each", [each for each in PUSHES if each.forge is not Forge.GITLAB], ids=str)
def test_one_changed_byte_is_detected(each: Recorded) -> None:
    for at in (0, len(each.body) // 2, len(each.body) - 1):
        changed = each.body[:at] + bytes([each.body[at] ^ 1]) + each.body[at + 1 :]
        assert refusal(each, each.signed(), changed) == "hook-signature-wrong"
    assert refusal(each, each.signed(), each.body + b" ") == "hook-signature-wrong"


@pytest.mark.parametrize("each", PUSHES, ids=str)
@pytest.mark.parametrize("other", PUSHES, ids=str)
def test_another_forges_signature_is_not_accepted(each: Recorded, other: Recorded) -> None:
    if other.forge is each.forge:
        return
    theirs = {name: value for name, value in other.signed().items() if name not in other.headers}
    if each.forge is Forge.GITHUB and other.forge is Forge.GITEA:
        theirs.pop("x-hub-signature-256")  # Gitea signs in GitHub's form as well
    if each.forge is Forge.GITEA and other.forge is Forge.FORGEJO:
        theirs.pop("x-gitea-signature")  # and Forgejo in Gitea's
    assert refusal(each, {**each.headers, **theirs}) == "hook-signature-missing"


@pytest.mark.parametrize(
    "signature",
    ["sha1=757107ea0eb2509fc211", "sha256=", "sha256=ZZ", "757107ea", "sha256=" + "é" * 64, "sha256=" + "0" * 64],
)
def test_a_malformed_signature_is_refused(signature: str) -> None:
    each = one(Forge.GITHUB, "push-4")
    assert refusal(each, {**each.headers, "x-hub-signature-256": signature}).startswith("hook-signature-")


# --- GitLab's Standard Webhooks signatures


def gitlab_signed(each: Recorded, now: float = NOW, key: bytes = KEY) -> dict[str, str]:
    stamp = int(now)
    signature = standard_signature(key, "msg_1", stamp, each.body)
    return {
        **each.headers,
        "webhook-id": "msg_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature,
    }


def test_gitlabs_signature_is_accepted_within_its_time() -> None:
    each = one(Forge.GITLAB, "push")
    check(each, gitlab_signed(each), None, SIGNING)
    check(each, gitlab_signed(each, NOW - 299), None, SECRET, SIGNING)
    check(each, gitlab_signed(each, NOW + 299), None, SIGNING)


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301, 0.0])
def test_an_old_timestamp_is_refused(at: float) -> None:
    each = one(Forge.GITLAB, "push")
    assert refusal(each, gitlab_signed(each, at), None, SIGNING) == "hook-timestamp-old"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-timestamp": str(int(NOW) + 1)},
        {"webhook-id": "msg_2"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v2,AAAA v1"},
    ],
)
def test_nothing_that_is_signed_can_be_changed(change: dict[str, str]) -> None:
    each = one(Forge.GITLAB, "push")
    assert refusal(each, {**gitlab_signed(each), **change}, None, SIGNING) == "hook-signature-wrong"
    changed = each.body.replace(b"master", b"mister")
    assert refusal(each, gitlab_signed(each), changed, SIGNING) == "hook-signature-wrong"


@pytest.mark.parametrize("stamp", ["", "now", "1e9", "-5", "9" * 40, "１２"])
def test_an_invalid_timestamp_is_refused(stamp: str) -> None:
    each = one(Forge.GITLAB, "push")
    headers = {**gitlab_signed(each), "webhook-timestamp": stamp}
    assert refusal(each, headers, None, SIGNING) == "hook-signature-missing"


def test_a_token_does_not_excuse_a_wrong_signature() -> None:
    each = one(Forge.GITLAB, "push")
    headers = {**gitlab_signed(each, key=b"another key"), "x-gitlab-token": SECRET.decode()}
    assert refusal(each, headers, None, SECRET, SIGNING) == "hook-signature-wrong"


def test_a_signing_key_is_not_accepted_as_a_token() -> None:
    each = one(Forge.GITLAB, "push")
    headers = {**each.headers, "x-gitlab-token": SIGNING.decode()}
    assert refusal(each, headers, None, SIGNING) == "hook-signature-wrong"


def test_several_signatures_in_one_header_are_checked() -> None:
    each = one(Forge.GITLAB, "push")
    headers = gitlab_signed(each)
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']}"
    check(each, headers, None, SIGNING)


def test_an_independent_implementation_agrees() -> None:
    theirs = Webhook(SIGNING.decode())
    each = one(Forge.GITLAB, "push")
    now = datetime.now(UTC)
    headers = gitlab_signed(each, now.timestamp())
    assert theirs.sign("msg_1", now, each.body.decode()) == headers["webhook-signature"]
    assert theirs.verify(each.body, headers) == each.document


def test_other_secrets_are_not_signing_keys() -> None:
    assert signing_key(SIGNING) == KEY
    assert [signing_key(text) for text in (SECRET, b"whsec_", b"whsec_!!", b"whsec_\xff")] == [None] * 4
