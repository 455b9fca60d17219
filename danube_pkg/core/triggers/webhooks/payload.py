"""Reading a stranger's JSON: each access says what it expects, and what is otherwise is one refusal that names the field."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.revisions import first_line
from danube_pkg.kit.records import Record

MAX_NAME = 1024
"""Of a branch, a tag, a path, a repository: Git's own bound for a path is 4096, and no forge lets a name reach this."""

MAX_URL = 2048

MAX_TEXT = 4000
"""Of a title or a message: it is searched for a mark and shown in a line; what is longer is cut."""

MAX_ITEMS = 100_000
"""Of one list. A push that touches more files is a whole tree, which counts as 'everything changed'."""

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def refusal(what: str, cause: str = "") -> Invalid:
    """A delivery that is authentic and cannot be understood."""
    return Invalid(
        "hook-not-understood",
        f"this delivery cannot be read: {what}",
        cause=cause,
        hint="is this a webhook of the forge that the URL names, with the content type application/json?",
    )


def read_object(body: bytes) -> "Payload":
    """The body as a JSON object. Raises Invalid."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusal("it is no JSON", str(error)) from error
    return Payload(_mapping(value, "the body"), "")


class Payload(Record):
    """An object of the document; `path` leads to it. Every method raises Invalid for what is not as it must be."""

    value: Mapping[str, Any]
    path: str

    def object(self, name: str) -> "Payload":
        return Payload(_mapping(self.value.get(name), self._at(name)), self._at(name))

    def maybe(self, name: str) -> "Payload | None":
        """The same where it may be absent or null."""
        return self.object(name) if self.value.get(name) is not None else None

    def objects(self, name: str) -> "Iterator[Payload]":
        for index, one in enumerate(self._list(name)):
            path = f"{self._at(name)}[{index}]"
            yield Payload(_mapping(one, path), path)

    def names(self, name: str) -> Iterator[str]:
        """Each text of a list, as it is: paths may hold anything but what no file name can."""
        for index, one in enumerate(self._list(name)):
            yield _name(one, f"{self._at(name)}[{index}]")

    def text(self, name: str) -> str:
        """A text for people, "" where it is absent: cut, on one line."""
        return _CONTROL.sub(" ", self._raw(name))

    def line(self, name: str, most: int) -> str:
        """The first line of a text for people, "" where it is absent; at most that many characters."""
        return first_line(self._raw(name), most)

    def _raw(self, name: str) -> str:
        found = self.value.get(name)
        if found is None:
            return ""
        if not isinstance(found, str):
            raise refusal(f"{self._at(name)} must be a text")
        return found[:MAX_TEXT]

    def name(self, name: str) -> str:
        """A text that is there and names something."""
        return _name(self.value.get(name), self._at(name))

    def url(self, name: str) -> str:
        """An address, "" where it is absent."""
        found = self.value.get(name)
        return _name(found, self._at(name), MAX_URL) if found else ""

    def number(self, name: str) -> int:
        found = self.value.get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**53:
            raise refusal(f"{self._at(name)} must be a whole number")
        return found

    def flag(self, name: str) -> bool:
        return self.value.get(name) is True

    def hash(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not _HASH.fullmatch(found):
            raise refusal(f"{self._at(name)} must be a commit's hash")
        return found

    def _list(self, name: str) -> list[Any]:
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list) or len(found) > MAX_ITEMS:
            raise refusal(f"{self._at(name)} must be a list of at most {MAX_ITEMS}")
        return found

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def is_none(commit_sha: str) -> bool:
    """Whether a hash is the one that stands for nothing: a branch that was not there before, or is not there any more."""
    return not commit_sha.strip("0")


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refusal(f"{path} must be an object")
    return value


def _name(value: Any, path: str, longest: int = MAX_NAME) -> str:
    if not isinstance(value, str) or not value or len(value) > longest or _CONTROL.search(value):
        raise refusal(f"{path} must be a name of at most {longest} characters")
    return value
