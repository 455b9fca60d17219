"""Masks secrets in host names, which clients change: they lower the case, and cut, encode or replace other characters.

The masks are the clear, base64, hexadecimal and percent-encoded forms as they appear in names: in lower case, with `?`
for each byte that names cannot have. Such a form does not reveal a value with other characters, so the proxy gets the
forms and not the values.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import quote_from_bytes

from danube_pkg.core.logs.finders import FinderMaker, best_finder, spans
from danube_pkg.core.logs.redaction import unions, with_masks
from danube_pkg.core.logs.secret_forms import MAX_ENCODED_LINES, base64_of
from danube_pkg.core.logs.secret_lines import secret_lines
from danube_pkg.core.secrets.secret import MIN_VALUE_BYTES

MAX_NAME_BYTES = 253
"""Limit of a host name (RFC 1035); longer forms cannot appear in one."""

MIN_PIECE_BYTES = 8
"""A value that is used as a host is cut where the host of a URL ends. Its pieces are masked from this length on, which
is that of lines that are masked alone."""

_IN_NAMES = bytes(
    byte if byte in b"abcdefghijklmnopqrstuvwxyz0123456789_.-" else ord("?") for byte in bytes(range(256)).lower()
)
_END_OF_HOST = re.compile(rb"[/?#@:\\\s]+")
_PUNYCODE = "xn--"


def host_forms(values: Iterable[bytes]) -> set[str]:
    """The forms of values that must not appear in a name, in ASCII."""
    found: set[bytes] = set()
    for value in values:
        lines = [line.text for line in secret_lines(value)]
        hosts = lines if b"\n" in value.strip() else [value]
        pieces = {piece for host in hosts for piece in _END_OF_HOST.split(host) if len(piece) >= MIN_PIECE_BYTES}
        names = set(map(_as_in_names, _forms_of([value.strip(), *lines]) | pieces | _folded(value)))
        found |= names | {name.strip(b".") for name in names}
    return {form.decode() for form in found if MIN_VALUE_BYTES <= len(form) <= MAX_NAME_BYTES}


def _forms_of(parts: Sequence[bytes]) -> set[bytes]:
    """A value and the parts of it that are secret alone, as they are and encoded; none that is longer than a name. Of
    more than MAX_ENCODED_LINES parts none is encoded, as in logs."""
    plain = {one for one in parts if len(one) <= MAX_NAME_BYTES}
    if len(plain) > MAX_ENCODED_LINES:
        return plain
    found = set(plain)
    for one in plain:
        found |= {one.hex().encode(), quote_from_bytes(one, safe="").encode()}
        found |= {base64_of(one, before, url=url) for before in range(3) for url in (False, True)}
    return found


def _folded(value: bytes) -> set[bytes]:
    """The value as an internationalised name is prepared (RFC 3490, RFC 5895)."""
    if len(value) > 2 * MAX_NAME_BYTES:
        return set()
    try:
        text = value.strip().decode()
    except UnicodeDecodeError:
        return set()
    return {one.encode() for one in (text.lower(), unicodedata.normalize("NFKC", text.casefold()))}


def _as_in_names(data: bytes) -> bytes:
    """The data as in names, with the same number of bytes, so that offsets are the same."""
    return data.translate(_IN_NAMES)


class HostMasks:
    """Masks texts with host names, of a ledger or the proxy's log. forms: from `host_forms`."""

    def __init__(self, forms: Collection[str], finder: FinderMaker | None = None) -> None:
        self._find = (finder or best_finder())(sorted(form.encode() for form in forms)) if forms else None

    def mask(self, text: str) -> str:
        """The text with masks. A value in punycode is masked together with the rest of its label."""
        if self._find is None or not text:
            return text
        found = self._masked(text)
        if _PUNYCODE in found.lower():
            decoded = ".".join(map(_decoded, found.split(".")))
            if (without := self._masked(decoded)) != decoded:
                return without
        return found

    def _masked(self, text: str) -> str:
        if self._find is None:
            return text
        data = text.encode(errors="surrogateescape")
        return with_masks(data, unions(spans(self._find(_as_in_names(data)))), len(data)).decode(errors="replace")


def _decoded(label: str) -> str:
    """A punycode label decoded; any other label as it is."""
    if not label.lower().startswith(_PUNYCODE):
        return label
    try:
        return label[len(_PUNYCODE) :].encode("ascii").decode("punycode").lower()
    except UnicodeError:
        return label


NO_MASKS = HostMasks(())
"""No masks, for jobs without secrets."""
