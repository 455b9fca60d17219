"""Durations and sizes as text, wherever the configuration means one."""

from fractions import Fraction

import pytest

from danube_pkg.cli.durations import days, seconds
from danube_pkg.core.configuration.kinds import KINDS
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.configuration.reference_page import records_in
from danube_pkg.core.configuration.settings import ConfigRepository, Settings
from danube_pkg.core.documents.json_schema import JsonSchemas
from danube_pkg.core.documents.marked import Findings, rule_of
from danube_pkg.core.documents.quantities import DURATION_UNITS, SIZE_UNITS, in_unit
from danube_pkg.core.documents.records import marked, read_record, typed_fields
from danube_pkg.core.errors import SourceLocation

ENDINGS = {"_seconds": "seconds", "_days": "days", "_mb": "MiB", "_gb": "GiB", "_interval": "seconds"}


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("60s", "seconds", 60),
        ("5m", "seconds", 300),
        ("1h", "seconds", 3600),
        ("1h30m", "seconds", 5400),
        ("1h 30m", "seconds", 5400),
        ("1.5h", "seconds", 5400),
        ("500ms", "seconds", Fraction(1, 2)),
        ("2w", "days", 14),
        ("36h", "days", Fraction(3, 2)),
        ("10GiB", "GiB", 10),
        ("10Gi", "GiB", 10),
        ("10G", "GiB", 10),
        ("10 GB", "GiB", 10),
        ("1T", "GiB", 1024),
        ("512MiB", "GiB", Fraction(1, 2)),
        ("512Mi", "MiB", 512),
        ("1G", "MiB", 1024),
        ("1048576B", "MiB", 1),
    ],
)
def test_a_quantity_is_converted_to_the_unit_of_the_field(text: str, unit: str, amount: Fraction | int) -> None:
    assert in_unit(text, unit) == amount


@pytest.mark.parametrize(
    "text", ["", "60", "often", "-5m", "5 minutes", "1h30", "m", "1.h", "10iB", "10 GiB x", "1e3s", "١s"]
)
def test_any_other_text_is_refused(text: str) -> None:
    assert [in_unit(text, unit) for unit in (*DURATION_UNITS, *SIZE_UNITS)] == [None] * 4


def test_a_configuration_may_name_durations_and_sizes() -> None:
    findings = Findings()
    document = {
        "repository": "/srv/app",
        "max_duration_seconds": "1h30m",
        "workspace_size_gb": "10GiB",
        "log_limit_mb": 5,
    }
    spec = read_record(PipelineSpec, marked(document, SourceLocation("p")), findings)
    assert not findings
    assert isinstance(spec, PipelineSpec)
    assert (spec.max_duration_seconds, spec.workspace_size_gb, spec.log_limit_mb) == (5400, 10, 5)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("often", "sync_interval must be a number of seconds, or text as 30s, 5m, 1h30m, 2d, not 'often'"),
        ("60", "sync_interval must be a number of seconds, or text as 30s, 5m, 1h30m, 2d, not '60'"),
        ("1500ms", "sync_interval must be a whole number of seconds, not '1500ms'"),
        ("2d", "sync_interval must be at most 86400, not '2d'"),
    ],
)
def test_what_is_wrong_with_a_duration_is_said(text: str, what: str) -> None:
    findings = Findings()
    node = marked({"url": "config", "sync_interval": text}, SourceLocation("danube.toml"))
    assert read_record(ConfigRepository, node, findings) is None
    (finding,) = findings.sorted()
    assert (finding.what, finding.hint) == (what, "for example: 30s; or a number without quotes")


def all_records(kind: type) -> set[type]:
    found, new = set(), {kind}
    while new:
        found |= new
        new = {one for record in new for _, hint in typed_fields(record).values() for one in records_in(hint)} - found
    return found


def test_every_field_that_is_a_duration_or_a_size_has_its_unit() -> None:
    records = set().union(*(all_records(kind) for kind in (Settings, *KINDS.values())))
    for record in records:
        for key, (field, _) in typed_fields(record).items():
            expected = next((unit for ending, unit in ENDINGS.items() if key.endswith(ending)), "")
            assert rule_of(field).unit == expected, (record, key)


def test_editors_accept_a_duration_as_text() -> None:
    schemas = JsonSchemas("#/$defs/")
    schemas.reference(ConfigRepository)
    schema = schemas.definitions["ConfigRepository"]["properties"]["sync_interval"]
    assert [one["type"] for one in schema["anyOf"]] == ["integer", "string"]


def test_options_of_the_command_line_take_the_same_forms() -> None:
    assert (seconds("90"), seconds("5m"), days("30"), days("2w")) == (90, 300, 30, 14)
    with pytest.raises(Exception, match="not a whole number of days"):
        days("36h")
