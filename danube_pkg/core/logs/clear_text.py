"""Secrets in texts that do not come from a job: webhook deliveries, commits, the requests of users.

These are stored before any job's log exists, so what is looked for is the clear value alone. An ordinary word as a
secret is left in: masking it here would rename branches.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from danube_pkg.core.logs.redaction import MASK
from danube_pkg.core.logs.secret_lines import secret_lines
from danube_pkg.core.secrets.secret import weakness
from danube_pkg.kit.records import decode_json, encode_json, to_builtins

Stored = TypeVar("Stored")


def clear_texts(values: Iterable[bytes]) -> Sequence[str]:
    """The values, and the parts of those of several lines that are secret alone; the longest first, so that none is
    left in part."""
    found = {text.decode(errors="replace") for value in values for text in _texts_of(value)}
    return sorted(found, key=len, reverse=True)


def _texts_of(value: bytes) -> Iterator[bytes]:
    if not weakness(value):
        yield value.strip()
        yield from (line.text for line in secret_lines(value.strip()))


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in place of each secret."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK.decode())
    return text


def masked_record(record: Stored, secrets: Sequence[str]) -> Stored:
    """The record with each secret masked in each of its texts."""
    fields = to_builtins(record)
    masked = _masked(fields, secrets)
    return decode_json(encode_json(masked), type(record)) if masked != fields else record


def _masked(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return masked_text(value, secrets)
    if isinstance(value, dict):
        return {key: _masked(one, secrets) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masked(one, secrets) for one in value)
    return value
