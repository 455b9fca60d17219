"""The secrets that a configuration names: the server uses them itself, and no job may read them."""

from collections.abc import Iterator
from typing import Any

from danube_pkg.core.configuration.state import State
from danube_pkg.core.documents.marked import key_of, rule_of
from danube_pkg.kit.records import Record, fields, is_record


class NamedSecret(Record):
    """A secret that the configuration names. where: the field that names it, as messages show it."""

    key: str
    where: str


def named_secrets(state: State) -> tuple[NamedSecret, ...]:
    """Every secret that the configuration names, in the order of its fields."""
    found = list(_named(state.config, "config"))
    for pipeline in state.pipelines.values():
        found += _named(pipeline.spec, f"pipeline {pipeline.name}")
    return tuple(found)


def _named(record: Any, path: str) -> Iterator[NamedSecret]:
    for field in fields(type(record)):
        value = getattr(record, field.name)
        here = f"{path}: {key_of(field)}" if ": " not in path else f"{path}.{key_of(field)}"
        if rule_of(field).secret:
            for key in value if isinstance(value, tuple) else (value,):
                if key:
                    yield NamedSecret(key, here)
        elif is_record(value) and not isinstance(value, type):
            yield from _named(value, here)
        elif isinstance(value, tuple):
            for index, one in enumerate(value):
                if is_record(one) and not isinstance(one, type):
                    yield from _named(one, f"{here}[{getattr(one, 'name', index)}]")
