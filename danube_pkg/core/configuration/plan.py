"""What applying a configuration would change, shown to users before they push it."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from danube_pkg.core.configuration.changes import Change, ChangeAction, ObjectKind, changed_fields, diff
from danube_pkg.core.configuration.grants import GrantChange, changed_grants
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.secret_names import named_secrets
from danube_pkg.core.configuration.state import State
from danube_pkg.core.documents.marked import rule_of
from danube_pkg.core.documents.records import typed_fields
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import HIDDEN, Record, is_record

MAX_SHOWN = 100
"""Characters of a value in a line."""

CONTEXT = 20
"""Characters before the first difference of long values."""


class ConfigurationPlan(Record):
    """The effect of a configuration. findings: what is wrong with it; the other fields are empty then. secrets: keys
    that it names and the applied one does not."""

    findings: tuple[Invalid, ...] = ()
    changes: tuple[Change, ...] = ()
    grants: tuple[GrantChange, ...] = ()
    secrets: tuple[str, ...] = ()


def plan(files: ConfigurationFiles, actual: State) -> ConfigurationPlan:
    """The effect of applying these files to that state."""
    desired, findings = read_configuration(files)
    if desired is None:
        return ConfigurationPlan(findings)
    before = {one.key for one in named_secrets(actual)}
    named = sorted({one.key for one in named_secrets(desired)} - before)
    return ConfigurationPlan((), diff(desired, actual), changed_grants(actual, desired), tuple(named))


def describe_change(change: Change) -> tuple[str, ...]:
    """A change in lines: the object, and each field of an object that is changed."""
    name = "the server's configuration" if change.kind is ObjectKind.CONFIG else f"{change.kind} {change.key}"
    if change.action is not ChangeAction.CHANGE:
        return (f"{change.action} {name}",)
    before, after = change.before, change.after
    lines = [f"change {name}"]
    if change.kind is ObjectKind.PIPELINE:
        if before.team != after.team:
            lines.append(_line("team", before.team, after.team))
        before, after = before.spec, after.spec
    fields = changed_fields(before, after)
    return (*lines, *(line for one in fields for line in _lines(one.path, one.before, one.after)))


def _lines(path: str, before: Any, after: Any) -> Sequence[str]:
    """A changed field as YAML: lists and mappings item by item."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return [line for key in keys for line in _lines(f"{path}.{key}", before.get(key, ""), after.get(key, ""))]
    if isinstance(before, tuple) and isinstance(after, tuple) and any(map(is_record, (*before, *after))):
        removed = [f"    - {_yaml(one)}" for one in before if one not in after]
        added = [f"    + {_yaml(one)}" for one in after if one not in before]
        return [f"  {path}:", *(removed + added or ["    in another order"])]
    return [_line(path, before, after)]


def _line(path: str, before: Any, after: Any) -> str:
    old, new = _yaml(before), _yaml(after)
    is_long = max(len(old), len(new)) > MAX_SHOWN
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))) if is_long else 0
    begin = max(0, same - CONTEXT)
    return f"  {path}: {_cut(old, begin)} → {_cut(new, begin)}"


def _cut(text: str, begin: int) -> str:
    """The part from there on in which two long texts differ."""
    text = f"…{text[begin:]}" if begin else text
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _yaml(value: Any) -> str:
    """A value in one line of YAML's flow style; of a record what differs from its defaults."""
    if value in ("", None, ()) or (isinstance(value, Mapping) and not value):
        return "none"
    if is_record(value):
        named = [(key, field, getattr(value, field.name)) for key, (field, _) in typed_fields(type(value)).items()]
        shown = [
            f"{key}: {'…' if rule_of(field).hidden or HIDDEN in field.marks else _yaml(one)}"
            for key, field, one in named
            if one != field.default and one not in ("", None, ()) and one != {}
        ]
        kind = getattr(type(value), "TYPE", "")
        return f"{{{', '.join([f'type: {kind}', *shown] if kind else shown)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_yaml(one)}' for key, one in value.items())}}}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
