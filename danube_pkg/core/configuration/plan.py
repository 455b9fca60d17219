"""What applying a configuration would change, shown to users before they push it."""

from danube_pkg.core.configuration.changes import Change, ChangeAction, ObjectKind, changed_fields, diff
from danube_pkg.core.configuration.grants import GrantChange, changed_grants
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.secret_names import named_secrets
from danube_pkg.core.configuration.state import State
from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import Record


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
    return (*lines, *(_line(one.path, one.before, one.after) for one in changed_fields(before, after)))


def _line(path: str, before: object, after: object) -> str:
    return f"  {path}: {_shown(before)} → {_shown(after)}"


def _shown(value: object) -> str:
    if value in ("", None, ()):
        return "none"
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return f"[{', '.join(value)}]"
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
