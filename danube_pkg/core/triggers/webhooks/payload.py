"""Reading untrusted JSON: each access names the type that it expects; anything else raises Invalid and names the
field."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.revisions import MAX_TEXT, first_line
from danube_pkg.kit.records import Record

MAX_NAME = 1024
"""Characters of a branch, tag, path or repository. Git's own bound for a path is 4096; no forge allows names of this
length."""

MAX_REF = 4096
"""Characters of a ref: Git's own bound for a path."""

MAX_URL = 2048

MAX_LABELS = 100
"""Labels of one request; forges allow about as many."""

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def refusal(what: str, cause: str = "") -> Invalid:
    """The error for a delivery that has a valid signature and cannot be parsed."""
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
        raise refusal("it is not valid JSON", str(error)) from error
    return Payload(_mapping(value, "the body"), "")


class Payload(Record):
    """An object of the payload, at `path`.

    What decides which code runs is required (`name`, `ref`, `hash`, `number`, `object`): another value raises Invalid.
    What is only shown or compared is not (`text`, `line`, `url`, `maybe`): an odd value counts as absent, so that no
    delivery is lost for it.
    """

    value: Mapping[str, Any]
    path: str

    def object(self, name: str) -> "Payload":
        return Payload(_mapping(self.value.get(name), self._at(name)), self._at(name))

    def maybe(self, name: str) -> "Payload | None":
        """The object at a key; None where it is absent, null or something else."""
        return self.object(name) if isinstance(self.value.get(name), dict) else None

    def objects(self, name: str) -> "Iterator[Payload]":
        """The objects in a list; none where it is not a list."""
        found = self.value.get(name)
        for index, one in enumerate(found if isinstance(found, list) else ()):
            if isinstance(one, dict):
                yield Payload(one, f"{self._at(name)}[{index}]")

    def text(self, name: str) -> str:
        """A text to be shown, cut to MAX_TEXT and on one line; "" where it is absent."""
        return _CONTROL.sub(" ", self._raw(name))

    def line(self, name: str, most: int) -> str:
        """The first line of a text to be shown, cut to `most` characters; "" where it is absent."""
        return first_line(self._raw(name), most)

    def _raw(self, name: str) -> str:
        found = self.value.get(name)
        return found[:MAX_TEXT] if isinstance(found, str) else ""

    def name(self, name: str) -> str:
        """A required text that is a name: not empty, no control characters."""
        return _name(self.value.get(name), self._at(name))

    def url(self, name: str) -> str:
        """A URL; "" where it is absent or unusable."""
        found = self.value.get(name)
        return found if _is_name(found, MAX_URL) else ""

    def ref(self, name: str) -> str:
        """The full name of a ref."""
        return _name(self.value.get(name), self._at(name), MAX_REF)

    def number(self, name: str) -> int:
        found = self.value.get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**53:
            raise refusal(f"{self._at(name)} must be a whole number")
        return found

    def flag(self, name: str) -> bool:
        return self.value.get(name) is True

    def has_hash(self, name: str) -> bool:
        """Whether `hash` returns one."""
        found = self.value.get(name)
        return isinstance(found, str) and _HASH.fullmatch(found) is not None

    def hash(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not _HASH.fullmatch(found):
            raise refusal(f"{self._at(name)} must be a commit's hash")
        return found

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def labels_of(found: Iterable[Payload], key: str) -> tuple[str, ...]:
    """The names of labels; those that cannot be names are left out."""
    names = (one.value.get(key) for one in found)
    return tuple(name for name in names if _is_name(name, MAX_NAME))[:MAX_LABELS]


def is_none(commit_sha: str) -> bool:
    """Whether a hash is all zeros, which means that the branch or tag did not exist before, or was deleted."""
    return not commit_sha.strip("0")


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refusal(f"{path} must be an object")
    return value


def _is_name(value: Any, longest: int) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= longest and not _CONTROL.search(value)


def _name(value: Any, path: str, longest: int = MAX_NAME) -> str:
    if not _is_name(value, longest):
        raise refusal(f"{path} must be a name of at most {longest} characters")
    return value
