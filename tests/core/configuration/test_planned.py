"""Every field of the configuration acts, or is marked as planned and reported where it is set."""

import re
from pathlib import Path
from typing import Annotated, Any

import danube_pkg
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.kinds import KINDS
from danube_pkg.core.configuration.planned import planned_in
from danube_pkg.core.configuration.reference_page import records_in, table_of
from danube_pkg.core.configuration.settings import ConfigRepository, Settings
from danube_pkg.core.documents.marked import rule, rule_of
from danube_pkg.core.documents.records import typed_fields
from danube_pkg.kit.records import Record
from danube_pkg.services.configuration.conditions import PlannedSettings
from tests.core.configuration.test_quantities import all_records

PACKAGE = Path(danube_pkg.__file__).parent


def names_read() -> set[str]:
    """Attributes that the program reads, and fields that its `match` statements name."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r"\.([a-z_]+)\b(?! =[^=])", text))
        for case in re.findall(r"case \w+\((.*)\)", text):
            found |= set(re.findall(r"(\w+)=", case))
    return found


def without_effect(record: type[Any], read: set[str], path: str) -> set[str]:
    """Fields below a record that are neither read nor planned; below a planned field none has to be read."""
    found = set()
    for key, (field, hint) in typed_fields(record).items():
        if rule_of(field).planned:
            continue
        if field.name not in read:
            found.add(f"{path}.{key}")
        for inner in records_in(hint):
            found |= without_effect(inner, read, f"{path}.{key}")
    return found


def test_every_field_is_read_or_planned() -> None:
    read = names_read()
    kinds = {"danube.toml": Settings, **KINDS}
    assert set().union(*(without_effect(kind, read, name) for name, kind in kinds.items())) == set()


class Inner(Record):
    """A table with a setting of a later version."""

    now: Annotated[str, rule("It acts.")] = ""
    later: Annotated[str, rule("It does not.", planned="It is planned for version 9.9")] = ""


class WithLater(Settings):
    """danube.toml with such a table; at present it has none."""

    inner: Annotated[Inner, rule("A table.")] = Inner()


def test_a_setting_without_effect_is_reported_with_its_path() -> None:
    settings = WithLater(ConfigRepository("config"), inner=Inner(now="x", later="y"))
    assert [str(one) for one in planned_in(settings, "danube.toml: ")] == [
        "danube.toml: inner.later has no effect yet: It is planned for version 9.9",
    ]


async def test_the_conditions_name_what_danube_toml_sets() -> None:
    settings = WithLater(ConfigRepository("config"), inner=Inner(later="y"))
    found = await PlannedSettings(settings, AppliedConfiguration()).conditions()
    assert [one.reference for one in found] == ["setting-without-effect"]
    assert await PlannedSettings(WithLater(ConfigRepository("config")), AppliedConfiguration()).conditions() == []


def test_the_reference_says_so() -> None:
    assert "**It has no effect yet**: It is planned for version 9.9." in table_of(Inner)


def test_each_setting_without_effect_says_from_which_version_on_it_has_one() -> None:
    records = {Inner}.union(*(all_records(kind) for kind in (Settings, *KINDS.values())))
    planned = {rule_of(field).planned for record in records for field, _ in typed_fields(record).values()} - {""}
    assert [why for why in planned if not re.search(r"version [0-9]+\.[0-9]+", why)] == []
