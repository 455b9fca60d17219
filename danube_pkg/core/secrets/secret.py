"""Names and stored forms of secrets. A clear value appears in no object of this module's making that outlives a call."""

import re
from typing import Annotated

from danube_pkg.core.errors import Invalid, TooLarge
from danube_pkg.kit.records import HIDDEN, Record

MAX_VALUE_BYTES = 64 * 1024
"""A kubeconfig or a key chain fits many times; the redactor's work grows with it."""

MIN_VALUE_BYTES = 4
"""A shorter value cannot be masked without shredding every log that it stands in by chance."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class SecretName(Record):
    """`pipeline` is a pipeline's name; None means the value is for every pipeline."""

    pipeline: str | None
    key: str

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.key}" if self.pipeline else self.key


class SecretRead(Record):
    """That a job was given a value. at: Unix seconds."""

    job_id: str
    pipeline: str
    at: float


class StoredSecret(Record):
    """A row. `value_encrypted` is nonce ‖ ciphertext ‖ tag (AES-256-GCM), bound to `id` and name as associated data."""

    id: str
    name: SecretName
    value_encrypted: Annotated[bytes, HIDDEN]
    created_at: float
    updated_at: float
    retired_at: float | None = None


def check_key(key: str) -> str:
    """The key, if it can be one; raises Invalid."""
    if not _KEY.fullmatch(key):
        raise Invalid(
            "secret-key-invalid",
            f"{key!r} cannot name a secret",
            cause="a key is 1 to 128 letters, digits, '_', '.', '-' and does not begin with a digit, '.' or '-'",
            hint="danube secrets set DEPLOY_TOKEN",
        )
    return key


def check_value(value: bytes) -> bytes:
    """The value, if it can be kept and masked; raises Invalid or TooLarge. The message never quotes it."""
    if len(value.strip()) < MIN_VALUE_BYTES:
        raise Invalid(
            "secret-too-short",
            f"the value has fewer than {MIN_VALUE_BYTES} characters",
            cause="so short a value stands in logs by chance and cannot be masked reliably",
            hint="store a longer secret; a value that need not be masked belongs into the step's env=",
        )
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(
            "secret-too-large",
            f"the value has {len(value)} bytes, the bound is {MAX_VALUE_BYTES}",
            hint="keep large files in an object store and store the key to it",
        )
    return value
