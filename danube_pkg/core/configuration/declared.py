"""The names that documents declare, also those with mistakes: a reference to such a document is right."""

from collections.abc import Mapping
from typing import Any

from danube_pkg.core.configuration.kinds import KINDS, ConfigurationFiles
from danube_pkg.core.documents.marked import Marked
from danube_pkg.kit.records import Record


class DeclaredNames(Record):
    """Names by kind, and users' addresses in lower case.

    is_whole: whether every file and document could be read as far as its name. Otherwise a name that is not found may
    be in what could not be read, so that nothing is said about references. has_smtp: whether a mail server is named.
    """

    teams: frozenset[str]
    emails: frozenset[str]
    pipelines: frozenset[str]
    is_whole: bool
    has_smtp: bool


def declared_names(files: ConfigurationFiles) -> DeclaredNames:
    """The names in all documents of a configuration."""
    names: dict[str, set[str]] = {kind: set() for kind in KINDS}
    emails: set[str] = set()
    is_whole, has_smtp = not files.findings, False
    for node in files.documents:
        if node.value is None:
            continue
        kind, name = _text(node, "kind"), _text(node, "metadata", "name")
        if kind not in KINDS or not name:
            is_whole = False
            continue
        names[kind].add(name)
        if kind == "User":
            email = _text(node, "spec", "email").lower()
            emails.add(email)
            is_whole = is_whole and bool(email)
        has_smtp = has_smtp or (kind == "Config" and _value(node, "spec", "smtp") is not None)
    return DeclaredNames(frozenset(names["Team"]), frozenset(emails), frozenset(names["Pipeline"]), is_whole, has_smtp)


def _value(node: Marked, *path: str) -> Any:
    """The value at a path of keys; None where there is none."""
    value: Any = node.value
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key].value
    return value


def _text(node: Marked, *path: str) -> str:
    found = _value(node, *path)
    return found if isinstance(found, str) else ""
