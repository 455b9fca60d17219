"""`danube validate` of a configuration and the danubefiles that its pipelines name."""

from pathlib import Path

import pytest

from danube_pkg.ops.validate import validate

CONFIGURATION = """
{apiVersion: danube.dev/v1, kind: Config, metadata: {name: global}, spec: {}}
---
{apiVersion: danube.dev/v1, kind: Team, metadata: {name: ops}, spec: {members: []}}
"""
PIPELINE = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: NAME, team: ops}
spec: {repository: REPOSITORY, environments: ENVIRONMENTS}
"""
DANUBEFILE = """
from danube import approval, pipeline

@pipeline(name="app")
def build():
    approval(ASKED)
"""


def found(tmp_path: Path, asked: str, *environments: str) -> list[str]:
    """What is wrong with a danubefile that asks for that and pipelines that declare these."""
    repository, directory = tmp_path / "app", tmp_path / "config"
    repository.mkdir()
    (directory / "pipelines").mkdir(parents=True)
    (repository / "danubefile.py").write_text(DANUBEFILE.replace("ASKED", asked))
    (directory / "config.yaml").write_text(CONFIGURATION)
    for number, declared in enumerate(environments):
        text = PIPELINE.replace("NAME", f"app-{number}").replace("REPOSITORY", str(repository))
        (directory / "pipelines" / f"app-{number}.yaml").write_text(text.replace("ENVIRONMENTS", declared))
    return [f"{one} ({one.hint})" for one in validate(directory).findings]


PRODUCTION = "{production: {approvers: [ops]}}"


@pytest.mark.parametrize(
    ("asked", "environments", "said"),
    [
        ("'production'", [PRODUCTION], ""),
        ("'production'", ["{}", PRODUCTION], ""),
        ("name()", [PRODUCTION], ""),
        (
            "'prodution'",
            [PRODUCTION],
            "danubefile.py:6: no pipeline of this file has the environment 'prodution' (did you",
        ),
        ("'production'", ["{}"], "(in the pipeline's YAML: environments: {production: {approvers: [TEAM]}})"),
    ],
)
def test_what_a_danubefile_asks_approval_of_is_declared(
    tmp_path: Path, asked: str, environments: list[str], said: str
) -> None:
    findings = found(tmp_path, asked, *environments)
    assert len(findings) == (1 if said else 0), findings
    assert said in "".join(findings)
