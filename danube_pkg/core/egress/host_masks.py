"""Masking secrets in the names of hosts, which are not written as logs are: clients lower them, and cut, encode or replace
what no name can have.

What is looked for is every form of `core.logs.redaction` as it would be written down where names are: in lower case, with `?` for
every byte that no name has. Such a form does not lead back to a value with anything else in it, so whoever only has to mask
names need not be given the values themselves.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence

from danube_pkg.core.logs.redaction import (
    Finder,
    best_finder,
    forms_of,
    unions,
    with_masks,
)
from danube_pkg.core.secrets.secret import MIN_VALUE_BYTES

MAX_NAME_BYTES = 253
"""Of a host's name (RFC 1035): nothing that is longer can stand in one."""

MIN_PIECE_BYTES = 8
"""A value in a host's place is cut where a URL's host ends; what is left of it is masked if it is at least as long as the
lines that are masked alone."""

_STRANGE = re.compile(rb"[^a-z0-9_.-]")
_END_OF_HOST = re.compile(rb"[/?#@:\\\s]+")
_PUNYCODE = "xn--"


def host_forms(values: Iterable[bytes]) -> set[str]:
    """Everything that must not stand in a name; ASCII."""
    found: set[bytes] = set()
    for value in values:
        pieces = {piece for piece in _END_OF_HOST.split(value) if len(piece) >= MIN_PIECE_BYTES}
        for form in forms_of(value) | pieces | _folded(value):
            found |= {_as_in_names(form), _as_in_names(form).strip(b".")}
    return {form.decode() for form in found if MIN_VALUE_BYTES <= len(form) <= MAX_NAME_BYTES}


def _folded(value: bytes) -> set[bytes]:
    """As a name in letters of the world is prepared (RFC 3490, RFC 5895)."""
    try:
        text = value.strip().decode()
    except UnicodeDecodeError:
        return set()
    return {one.encode() for one in (text.lower(), unicodedata.normalize("NFKC", text.casefold()))}


def _as_in_names(data: bytes) -> bytes:
    """The same number of bytes, so that a place in one is that place in the other."""
    return _STRANGE.sub(b"?", data.lower())


class HostMasks:
    """Masks texts that hold names: of a ledger, of the proxy's own log. forms: of `host_forms`."""

    def __init__(self, forms: Collection[str], finder: Callable[[Sequence[bytes]], Finder] | None = None) -> None:
        self._find = (finder or best_finder())(sorted(form.encode() for form in forms)) if forms else None

    def mask(self, text: str) -> str:
        """The text without what must not stand in it. What stands in it as punycode is masked with the label's other letters."""
        if self._find is None or not text:
            return text
        found = self._masked(text)
        if _PUNYCODE in found.lower():
            spoken = ".".join(map(_spoken, found.split(".")))
            if (without := self._masked(spoken)) != spoken:
                return without
        return found

    def _masked(self, text: str) -> str:
        if self._find is None:
            return text
        data = text.encode(errors="surrogateescape")
        return with_masks(data, unions(self._find(_as_in_names(data))), len(data)).decode(errors="replace")


def _spoken(label: str) -> str:
    """A label as people read it; itself where it is no punycode."""
    if not label.lower().startswith(_PUNYCODE):
        return label
    try:
        return label[len(_PUNYCODE) :].encode("ascii").decode("punycode").lower()
    except UnicodeError:
        return label


NO_MASKS = HostMasks(())
"""Where there is nothing to hide."""
