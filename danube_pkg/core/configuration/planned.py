"""Settings that are accepted for a later version and have no effect yet: users hear of each one that they set."""

from collections.abc import Iterator
from typing import Any

from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.configuration.state import State
from danube_pkg.core.documents.marked import rule_of
from danube_pkg.core.documents.records import typed_fields
from danube_pkg.kit.records import MISSING, Record, is_record


class PlannedSetting(Record):
    """path: as users write it, behind the document. why: why it has no effect yet."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} has no effect yet: {self.why}"


def planned_settings(state: State) -> tuple[PlannedSetting, ...]:
    """Those that the configuration repository sets to another value than the default."""
    found = list(planned_in(state.config, "config.yaml: "))
    for pipeline in state.pipelines.values():
        found += planned_in(pipeline.spec, f"pipeline {pipeline.name}: ")
    return tuple(found)


def planned_in_file(settings: Settings) -> tuple[PlannedSetting, ...]:
    """Those that danube.toml sets."""
    return tuple(planned_in(settings, "danube.toml: "))


def planned_in(record: Any, path: str) -> Iterator[PlannedSetting]:
    """Those that a record sets to another value than the default. path: what stands before its keys."""
    for key, (field, _) in typed_fields(type(record)).items():
        value, why = getattr(record, field.name), rule_of(field).planned
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value == default:
            continue
        if why:
            yield PlannedSetting(f"{path}{key}", why)
        elif is_record(value):
            yield from planned_in(value, f"{path}{key}.")
