"""The changes from the actual state to the desired one: `diff` computes them, `apply` carries them out.

`apply(diff(desired, actual), actual) == desired`; the difference of equal states is empty. The store applies changes in
SQL, and a test compares its result with that of `apply`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from danube_pkg.core.configuration.state import State
from danube_pkg.core.documents.marked import rule_of
from danube_pkg.core.documents.records import typed_fields
from danube_pkg.core.errors import Defect
from danube_pkg.kit.records import HIDDEN, Record, is_record, replace


class ObjectKind(StrEnum):
    """The kinds of objects, in the order in which changes are applied: referenced objects first."""

    CONFIG = "config"
    USER = "user"
    TEAM = "team"
    PIPELINE = "pipeline"


class ChangeAction(StrEnum):
    """What happens to an object."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Change(Record):
    """One object that is added (`before` is None), removed (`after` is None) or changed. key: its key in `State`."""

    kind: ObjectKind
    key: str
    before: Any
    after: Any

    @property
    def action(self) -> ChangeAction:
        if self.before is None:
            return ChangeAction.ADD
        return ChangeAction.REMOVE if self.after is None else ChangeAction.CHANGE


_PARTS: Mapping[ObjectKind, str] = {
    ObjectKind.USER: "users",
    ObjectKind.TEAM: "teams",
    ObjectKind.PIPELINE: "pipelines",
}
CONFIG_KEY = "global"


def diff(desired: State, actual: State) -> tuple[Change, ...]:
    """The changes in the order in which they must be applied, sorted by key within each kind."""
    changes: list[Change] = []
    if desired.config != actual.config:
        changes.append(Change(ObjectKind.CONFIG, CONFIG_KEY, actual.config, desired.config))
    for kind, part in _PARTS.items():
        before, after = getattr(actual, part), getattr(desired, part)
        changes += [
            Change(kind, key, before.get(key), after.get(key))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ]
    return tuple(changes)


def apply(changes: Sequence[Change], actual: State) -> State:
    """The state after the changes. Raises Defect for changes that start from another state."""
    state = actual
    for change in changes:
        if change.kind is ObjectKind.CONFIG:
            _expect(state.config, change)
            state = replace(state, config=change.after)
            continue
        part = _PARTS[change.kind]
        things = dict(getattr(state, part))
        _expect(things.pop(change.key, None), change)
        if change.after is not None:
            things[change.key] = change.after
        parts: Mapping[str, Any] = {part: things}
        state = replace(state, **parts)
    return state


def _expect(found: Any, change: Change) -> None:
    if found != change.before:
        raise Defect("change-out-of-place", f"{change.kind} {change.key!r} differs from what the change starts from")


class FieldChange(Record):
    """One field that differs. path: in a document, as `spec.resources.cpu`. before, after: "…" for hidden values.
    restart: the change takes effect after a restart of the server."""

    path: str
    before: Any
    after: Any
    restart: bool = False


def changed_fields(before: Any, after: Any, path: str = "") -> tuple[FieldChange, ...]:
    """The innermost fields in which two records of one type differ; lists and mappings are compared as wholes."""
    found: list[FieldChange] = []
    for key, (field, _) in typed_fields(type(after)).items():
        one, other = getattr(before, field.name), getattr(after, field.name)
        name = f"{path}.{key}" if path else key
        if one == other:
            continue
        if type(one) is type(other) and is_record(one):
            found += changed_fields(one, other, name)
        elif rule_of(field).hidden or HIDDEN in field.marks:
            found.append(FieldChange(name, "…", "…", rule_of(field).restart))
        else:
            found.append(FieldChange(name, one, other, rule_of(field).restart))
    return tuple(found)
