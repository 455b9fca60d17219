"""Each mistake in a configuration is reported at its line in its own sentence: the tables are in
`bad_configurations/`."""

import textwrap
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from danube_pkg.adapters.configuration.marked_yaml import parse_yaml
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.documents.marked import Findings, Marked

TABLES = sorted((Path(__file__).parent / "bad_configurations").glob("*.yaml"))
CASES: list[dict[str, Any]] = [case for table in TABLES for case in yaml.safe_load(table.read_text())]

HEAD = "apiVersion: danube.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
TEMPLATES = {
    "pipeline": ("pipelines/app.yaml", HEAD.format(kind="Pipeline", name="app") + "  repository: ../app\n"),
    "user": ("users.yaml", HEAD.format(kind="User", name="bob")),
    "team": ("teams.yaml", HEAD.format(kind="Team", name="others")),
    "config": ("config.yaml", HEAD.format(kind="Config", name="global")),
}
GOOD = {
    "users.yaml": "apiVersion: danube.dev/v1\nkind: User\nmetadata: {name: alice}\nspec: {email: alice@example.com}\n",
    "teams.yaml": (
        "apiVersion: danube.dev/v1\nkind: Team\nmetadata: {name: platform}\nspec: {members: [alice@example.com]}\n"
    ),
}


def files_of(case: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """(the file with the mistake, all files by name)."""
    kind = next((one for one in TEMPLATES if one in case), None)
    if kind is None:
        file, text = case["file"], case["text"]
    else:
        file, head = TEMPLATES[kind]
        fields = case[kind]
        if kind == "user" and "email" not in fields:
            head += "  email: bob@example.com\n"
        text = head + textwrap.indent(fields.rstrip("\n"), "  ") + "\n"
    good = f"{GOOD[file]}---\n" if file in GOOD else ""
    return file, {**GOOD, file: good + text}


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_mistake_is_reported_at_its_line(case: Mapping[str, Any]) -> None:
    file, files = files_of(case)
    findings, documents = Findings(), list[Marked]()
    for name in sorted(files):
        documents += parse_yaml(files[name].encode(), name, findings)
    timezones = frozenset(zoneinfo.available_timezones())
    read = ConfigurationFiles("r1", "/config", tuple(documents), findings.sorted(), timezones)
    state, found = read_configuration(read)
    assert state is None
    assert [(str(one.place), one.what, one.hint) for one in found] == [
        (f"{file}:{case['line']}", case["what"], case["hint"])
    ]


def test_the_tables_have_enough_cases_and_each_once() -> None:
    assert len(CASES) >= 60
    assert len({case["case"] for case in CASES}) == len(CASES)
