"""What `.gitattributes` changes in a file on checkout (gitattributes(5)): `$Id$`, line endings, encoding. Runs in the
worker process.

`text`, `eol`, `working-tree-encoding` and `ident` are applied as `git clone` does on Linux without configuration.
Filters are programs, which are not run; `export-ignore` is for archives and not for checkouts.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dulwich.attrs import AttributeValue, Pattern, compile_gitattributes_patterns, parse_git_attributes
from dulwich.line_ending import CRLFAction, convert_lf_to_crlf, line_ending_filter_for_action, resolve_crlf_action
from dulwich.objects import ObjectID

MAX_BYTES = 1024**2
"""A longer `.gitattributes` is ignored; Git's own bound is 100 MiB."""

_ENCODING, _IDENT = b"working-tree-encoding", b"ident"

_OF_NO_CHECKOUT = re.compile(rb"diff|merge|filter|export-ignore|export-subst|whitespace|delta|linguist-.*")
"""Attributes that change no file of a checkout."""

_MACRO = b"[attr]"
_WITH_MARK = {b"UTF-16LE-BOM": ("utf-16-le", b"\xff\xfe"), b"UTF-16BE-BOM": ("utf-16-be", b"\xfe\xff")}
"""Names of Git's own: the encoding and the byte order mark before it."""

_ID = re.compile(rb"\$Id(?::([^$\n]*))?\$")


class Attributes:
    """The attributes that count for the directory that is written now."""

    def __init__(self) -> None:
        self._patterns: list[tuple[Pattern, Mapping[bytes, AttributeValue]]] = []
        self._macros: dict[bytes, Mapping[bytes, AttributeValue]] = {b"binary": {b"text": False}}

    @contextmanager
    def of_directory(self, directory: bytes, data: bytes) -> Iterator[None]:
        """Those of a directory's own `.gitattributes` too, until the block ends.

        directory: from the root of the tree, "" for the root, which alone may define macros. data: the file, b"" for
        none.
        """
        count = len(self._patterns)
        if 0 < len(data) <= MAX_BYTES:
            lines = list(parse_git_attributes(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf"))))
            if not directory:
                self._macros |= {name[len(_MACRO) :]: values for name, values in lines if name.startswith(_MACRO)}
            counting = [
                (pattern, values)
                for pattern, values in lines
                if not pattern.startswith(_MACRO) and not all(map(_OF_NO_CHECKOUT.fullmatch, values))
            ]
            self._patterns.extend(compile_gitattributes_patterns(counting, base=directory))
        yield
        del self._patterns[count:]

    def _of(self, path: bytes) -> Mapping[bytes, AttributeValue]:
        """As Git decides: the last line that matches and names an attribute, also by a macro, wins."""
        found: dict[bytes, AttributeValue] = {}
        for pattern, values in reversed(self._patterns):
            if pattern.match(path):
                self._add(found, values)
        return {name: value for name, value in found.items() if value is not None}

    def _add(self, found: dict[bytes, AttributeValue], values: Mapping[bytes, AttributeValue]) -> None:
        for name, value in reversed(list(values.items())):
            if name not in found:
                found[name] = value
                if value is True:
                    self._add(found, self._macros.get(name, {}))

    def convert(self, path: bytes, data: bytes, sha: ObjectID) -> tuple[bytes, str]:
        """A file as it is in the working tree, and what is wrong with its encoding; "" for nothing.

        data: the blob; sha: its name. A file whose encoding is unknown or lacks a character is not encoded, as in Git.
        """
        attributes = self._of(path) if self._patterns else {}
        if not attributes:
            return data, ""
        if attributes.get(_IDENT) is True:
            data = _with_ident(data, sha)
        data = _with_line_endings(data, attributes)
        try:
            return _encoded(data, attributes.get(_ENCODING)), ""
        except (LookupError, ValueError) as error:
            return data, str(error)


def _with_ident(data: bytes, sha: ObjectID) -> bytes:
    """`$Id$` with the blob's name. `$Id: … $` with blanks within is another system's, and stays."""

    def replaced(found: re.Match[bytes]) -> bytes:
        foreign = found[1] is not None and b" " in found[1][1:-1]
        return found[0] if foreign else b"$Id: " + sha + b" $"

    return _ID.sub(replaced, data)


def _with_line_endings(data: bytes, attributes: Mapping[bytes, AttributeValue]) -> bytes:
    action = resolve_crlf_action(attributes, core_eol="lf")
    if action is CRLFAction.TEXT_CRLF:  # an explicit attribute: Git does not look whether it is text
        return convert_lf_to_crlf(data)
    conversion = line_ending_filter_for_action(action)
    return data if conversion is None else conversion.smudge(data)


def _encoded(data: bytes, name: AttributeValue) -> bytes:
    if not isinstance(name, bytes) or not data or name.upper() in (b"UTF-8", b"UTF8"):
        return data
    encoding, mark = _WITH_MARK.get(name.upper(), (name.decode("ascii", "replace"), b""))
    return mark + data.decode("utf-8").encode(encoding)
