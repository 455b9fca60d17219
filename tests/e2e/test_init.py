"""What `danube init` writes runs, and is green where the project is green and red where nothing is tested."""

from pathlib import Path

import pytest

from danube_pkg.adapters.configuration.marked_yaml import parse_yaml
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.documents.marked import Findings, Marked
from tests.e2e.runs import danube_run
from tests.support.danube_process import ROOT, run_danube


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({"Makefile": "test:\n\t@echo tested by make\n"}, 0, "tested by make\n"),
        ({"Makefile": "test:\n\t@exit 7\n"}, 1, "exit code 2"),
        pytest.param(
            {"api/Makefile": "test:\n\t@pwd\n", "web/Makefile": "build:\n\t@pwd\n"},
            0,
            "/workspace/web\n",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"README": ""},
            1,
            "no known toolchain was found here: write the commands of this build",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"Dockerfile": "FROM scratch"}, 1, "a Dockerfile alone says not what to test", marks=pytest.mark.long
        ),
    ],
)
def test_what_init_writes_has_the_verdict_of_the_project(
    tmp_path: Path, files: dict[str, str], code: int, said: str
) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    state.mkdir()
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    run_danube(["init", str(tree)], {"PYTHONPATH": str(ROOT)}, tmp_path)
    run = danube_run(tree, "--pipeline", str(tree / "danube-pipeline.yaml"), "--image", "host", state=state)
    assert run.code == code, run.everything
    assert said in run.printed


def test_the_pipelines_yaml_goes_to_standard_output_or_another_file(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    done = run_danube(["init", "app", "--pipeline", "-"], {"PYTHONPATH": str(ROOT)}, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# A pipeline. Its place is pipelines/app.yaml")
    assert sorted(one.name for one in (tmp_path / "app").iterdir()) == ["danubefile.py"]
    assert "danube run app --pipeline -" not in done.stderr
    other = str(tmp_path / "config" / "pipelines" / "app.yaml")
    done = run_danube(["init", "app", "--pipeline", other, "--force"], {"PYTHONPATH": str(ROOT)}, tmp_path)
    assert Path(other).is_file(), done.stderr


def test_a_starter_configuration_has_a_user_who_can_log_in(tmp_path: Path) -> None:
    words = ["init", "config", "--config", "--user", "ada@example.org"]
    done = run_danube(words, {"PYTHONPATH": str(ROOT)}, tmp_path, "never-written\n")
    assert done.returncode == 0, done.stderr
    assert "never-written" not in "".join(one.read_text() for one in (tmp_path / "config").iterdir())
    findings, documents = Findings(), list[Marked]()
    for path in sorted((tmp_path / "config").glob("*.yaml")):
        documents += parse_yaml(path.read_bytes(), path.name, findings)
    state, found = read_configuration(ConfigurationFiles("r", "/c", tuple(documents), findings.sorted()))
    assert found == ()
    assert state is not None
    assert state.teams["platform"].global_admin
    assert [one.email for one in state.teams["platform"].members] == ["ada@example.org"]
    refused = run_danube(["init", "other", "--config", "--user", "a@b"], {"PYTHONPATH": str(ROOT)}, tmp_path, "\n")
    assert (refused.returncode, "1 to 72 bytes" in refused.stderr) == (2, True)
