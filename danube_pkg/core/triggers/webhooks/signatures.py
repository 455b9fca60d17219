"""Signatures of webhook deliveries: forges sign the raw body, and it is checked in constant time before anything is
parsed.

GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries (no timestamp is signed).
GitLab: a plain token, or a signature as defined by https://www.standardwebhooks.com. Gitea, Forgejo: bare hexadecimal.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from danube_pkg.core.errors import Unauthenticated
from danube_pkg.core.repositories.forges import Forge

TOLERANCE_SECONDS = 300
"""Between the signed timestamp and now, in either direction, as Standard Webhooks recommends; clocks differ by less."""

SIGNING_PREFIX = b"whsec_"

_MAX_SIGNATURES = 8
"""Signatures that are checked in one header; a sender that rotates its keys sends two."""


def check_signature(
    forge: Forge, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float
) -> None:
    """Raises Unauthenticated unless the body is signed with one of the secrets. Header names are in lower case.

    now: Unix seconds. Without a secret every delivery is refused, with the same message as for a wrong signature.
    """
    if forge is Forge.GITLAB:
        _check_gitlab(headers, body, secrets, now)
        return
    header = _HEX_HEADERS[forge]
    given = headers.get(header, "")
    prefix = "sha256=" if forge is Forge.GITHUB else ""
    if not given.startswith(prefix) or not given.removeprefix(prefix):
        raise _missing(header)
    if not _any(given.removeprefix(prefix), [hmac.new(key, body, hashlib.sha256).hexdigest() for key in secrets]):
        raise _wrong()


def standard_signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of a `webhook-signature` header (`v1,…`) as Standard Webhooks defines it. timestamp: Unix seconds."""
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()}"


def signing_key(secret: bytes) -> bytes | None:
    """The key of a secret that is `whsec_` and base64; None for any other secret."""
    if not secret.startswith(SIGNING_PREFIX):
        return None
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_PREFIX).strip(), validate=True) or None
    except binascii.Error:
        return None


_HEX_HEADERS: Mapping[Forge, str] = {
    Forge.GITHUB: "x-hub-signature-256",
    Forge.GITEA: "x-gitea-signature",
    Forge.FORGEJO: "x-forgejo-signature",
}


def _check_gitlab(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> None:
    """Checks the signature where a signing key is set, else the token. A valid token does not excuse a wrong
    signature."""
    keys = [key for key in map(signing_key, secrets) if key is not None]
    if headers.get("webhook-signature") and keys:
        _check_signed(headers, body, keys, now)
        return
    given = headers.get("x-gitlab-token", "")
    if not given:
        raise _missing("x-gitlab-token")
    tokens = [secret.decode("latin-1") for secret in secrets if not secret.startswith(SIGNING_PREFIX)]
    if not _any(given, tokens):
        raise _wrong()


def _check_signed(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float) -> None:
    stamp, message_id = headers.get("webhook-timestamp", ""), headers.get("webhook-id", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12 or not message_id:
        raise _missing("webhook-timestamp")
    expected = [standard_signature(key, message_id, int(stamp), body) for key in keys]
    given = headers["webhook-signature"].split()[:_MAX_SIGNATURES]
    if sum(_any(one, expected) for one in given) == 0:
        raise _wrong()
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        raise Unauthenticated(
            "hook-timestamp-old",
            "this delivery was signed too long ago",
            cause=f"its timestamp and this server's clock differ by more than {TOLERANCE_SECONDS} s",
            hint="check the clocks of both machines; to repeat an old delivery, redeliver it at the forge",
        )


def _any(given: str, expected: Sequence[str]) -> bool:
    """Compares with all of them even after a match, so that the time taken reveals nothing."""
    word = given.encode("latin-1", errors="replace")
    return sum(hmac.compare_digest(word, one.encode("latin-1")) for one in expected) > 0


def _missing(header: str) -> Unauthenticated:
    return Unauthenticated(
        "hook-signature-missing",
        "this delivery is not signed",
        cause=f"it has no usable {header}",
        hint="give the webhook a secret at the forge: the value of one that config.yaml names under webhooks",
    )


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "hook-signature-wrong",
        "this delivery's signature is wrong",
        cause="it was signed with none of the secrets that config.yaml names under webhooks, or its body was changed in transit",
        hint="set the same value on both sides: danube secrets set NAME, and the webhook's secret at the forge",
    )
