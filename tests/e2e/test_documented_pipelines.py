"""Each whole danubefile of docs/pipelines.md and docs/coming-from.md is right for `danube validate`, and green with
`danube run`."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.e2e.runs import danube_run
from tests.support.command_line import run_command
from tests.support.server import ROOT

PAGE = ROOT / "docs" / "pipelines.md"
COMING_FROM = ROOT / "docs" / "coming-from.md"


def whole(page: Path) -> dict[str, str]:
    """The whole danubefiles of a page, by their names."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return {re.findall(r'@pipeline\(name="([^"]+)"', block)[0]: block for block in blocks if "@pipeline(" in block}


WHOLE = whole(PAGE) | {f"{name} elsewhere": block for name, block in whole(COMING_FROM).items()}
NEEDS = {"Release": ("--secret", "PUBLISH_TOKEN=@-"), "Deployment": ("--approve", "production")}
"""Options of `danube run` that a danubefile needs, by its name."""


def test_the_page_has_a_danubefile_for_each_of_its_parts() -> None:
    parts = {
        "First",
        "Steps",
        "Service",
        "Context",
        "Failures",
        "Clean up",
        "Secrets",
        "Artifacts",
        "Components",
        "Caches",
        "Snapshots",
        "Reports",
        "More reports",
        "Parallel",
        "Matrix",
        "Release",
        "Deployment",
    }
    assert set(whole(PAGE)) == parts


def test_the_page_for_other_systems_has_twelve_recipes() -> None:
    assert len(whole(COMING_FROM)) == 12


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_documented_danubefile_is_right(name: str, tmp_path: Path) -> None:
    (tmp_path / "danubefile.py").write_text(WHOLE[name], encoding="utf-8")
    done = run_command(["validate", str(tmp_path / "danubefile.py")], b"", {}, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_documented_danubefile_is_green(name: str, tmp_path: Path) -> None:
    work, state = tmp_path / "work", tmp_path / "state"
    work.mkdir()
    state.mkdir()
    (work / "danubefile.py").write_text(WHOLE[name], encoding="utf-8")
    done = danube_run(work, *NEEDS.get(name, ()), state=state, stdin="hunter22")
    assert done.code == 0, done.everything


def test_the_yaml_of_the_page_is_a_right_configuration(tmp_path: Path) -> None:
    kept, pipeline, environments = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    yaml = pipeline + textwrap.indent(kept + environments, "  ")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "app.yaml").write_text(yaml, encoding="utf-8")
    head = "apiVersion: danube.dev/v1\nkind: {}\nmetadata: {{name: platform}}\nspec: {}\n"
    (tmp_path / "config.yaml").write_text(head.format("Config", "{}"), encoding="utf-8")
    team = head.format("Team", "{members: []}")
    teams = f"{team}---\n{team.replace('platform', 'release-managers')}"
    (tmp_path / "teams.yaml").write_text(teams, encoding="utf-8")
    done = run_command(["validate", str(tmp_path)], b"", {}, tmp_path)
    assert done.returncode == 0, done.stderr
