"""Names and stored forms of secrets. No object that this module makes holds a clear value longer than one call."""

import re
from typing import Annotated

from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.kit.records import HIDDEN, Record

MAX_VALUE_BYTES = 64 * 1024
"""Much more than a kubeconfig or a key chain needs; masking takes longer the longer values are."""

MIN_VALUE_BYTES = 4
"""A shorter value occurs in logs by chance, and masking it would make them unreadable."""

WEAK_VALUE_BYTES = 8
"""A shorter value is likely to occur in other text."""

_WORDS = re.compile(rb"(?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+)(?:[-_. /](?:[A-Z]?[a-z]+|[A-Z]+|[0-9]+))*")
_MAX_WORDS_BYTES = 20
"""Words that are longer together hardly occur by chance."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class SecretName(Record):
    """The name of a secret. pipeline: the pipeline that may read it; None: all pipelines may."""

    pipeline: str | None
    key: str

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.key}" if self.pipeline else self.key


class SecretRead(Record):
    """One read of a secret by a job. at: Unix seconds."""

    job_id: str
    pipeline: str
    at: float


class SecretUse(Record):
    """One read of a secret, without its value. name: as `SecretName` is written. at: Unix seconds."""

    name: str
    at: float


class StoredSecret(Record):
    """A row. value_encrypted: nonce ‖ ciphertext ‖ tag (AES-256-GCM), with `id` and name as associated data.
    retired_at: when it was replaced or deleted; it is kept for masking. Times are Unix seconds."""

    id: str
    name: SecretName
    value_encrypted: Annotated[bytes, HIDDEN]
    created_at: float
    updated_at: float
    retired_at: float | None = None


def check_key(key: str) -> str:
    """The key if it is valid; raises Invalid."""
    if not _KEY.fullmatch(key):
        raise Invalid(
            "secret-key-invalid",
            f"{key!r} is not a valid name of a secret",
            cause="a key is 1 to 128 letters, digits, '_', '.', '-' and does not begin with a digit, '.' or '-'",
            hint="for example: danube secrets set DEPLOY_TOKEN",
        )
    return key


def weakness(value: bytes) -> str:
    """Why masking the value would mask ordinary text too; empty where it would not."""
    text = value.strip()
    if len(text) < WEAK_VALUE_BYTES:
        return f"the value has fewer than {WEAK_VALUE_BYTES} characters, so other text is likely to contain it"
    if len(text) <= _MAX_WORDS_BYTES and (_WORDS.fullmatch(text) or len(set(text)) < 4):
        return "the value is an ordinary word or number, which other text is likely to contain"
    return ""


def warnings_about(value: bytes) -> tuple[str, ...]:
    """What the user who sets the value should know. No message quotes it."""
    found = []
    if weak := weakness(value):
        found.append(f"{weak}: logs will show *** there")
    if value.endswith(b"\n") and b"\n" not in value.strip():
        found.append("the value ends with a line break, which commands get too")
    return tuple(found)


def check_value(value: bytes) -> bytes:
    """The value if it can be stored and masked; raises Invalid or TooLarge. No message quotes it."""
    if len(value.strip()) < MIN_VALUE_BYTES:
        raise Invalid(
            "secret-too-short",
            f"the value has fewer than {MIN_VALUE_BYTES} characters",
            cause="so short a value occurs in logs by chance and cannot be masked reliably",
            hint="store a longer secret; pass a value that need not be masked with the step's env=",
        )
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(
            "secret-too-large",
            f"the value has more than {MAX_VALUE_BYTES} bytes",
            hint="keep large files in an object store, and store its credential as the secret",
        )
    return value
