"""An unmodified third-party project: its own test suite is green as it is, and red with one assertion broken."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.runs import Run, danube_run

PROJECT = "h11==0.16.0 --hash=sha256:4e35b956cf45792e4caa5885e69fba00bdbc6ffafbfa020300e549b208ee5ff1\n"

MACHINES_INDEX = Path("/etc/pip.conf")

DANUBEFILE = """
from danube import pipeline, step


@pipeline(name="h11")
def build() -> None:
    index = {"PIP_CONFIG_FILE": "/workspace/index.conf"}
    step.run("python3 -m venv .venv && .venv/bin/pip install --quiet pytest .", name="Install", env=index)
    step.run(".venv/bin/python -m pytest -q h11", name="Tests")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's source archive from the package index as a Git repository, with a danubefile."""
    place = tmp_path_factory.mktemp("project")
    (place / "requirements.txt").write_text(PROJECT)
    words = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(place / "requirements.txt")]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(place), *words], check=True, timeout=300
    )
    archive = next(place.glob("*.tar.gz"))
    subprocess.run(["tar", "-x", "--no-same-owner", "-f", archive, "-C", place], check=True)
    root = place / archive.name.removesuffix(".tar.gz")
    (root / "danubefile.py").write_text(DANUBEFILE)
    if MACHINES_INDEX.exists():  # the image `host` does not have it, since it may have a password
        (root / "index.conf").write_text(MACHINES_INDEX.read_text())
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(root)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The project and its danubefile"]):
        subprocess.run([*git, *words], check=True)
    return root


@pytest.mark.long
def test_its_tests_pass_as_they_are(project: Path, tmp_path: Path) -> None:
    run = danube_run(project, "--network=host", state=tmp_path, seconds=300)
    assert run.code == 0, run.everything
    assert re.search(r"\d+ passed", run.printed)


@pytest.mark.long
def test_the_job_fails_with_one_broken_assertion(project: Path, tmp_path: Path) -> None:
    test = project / "h11" / "tests" / "test_util.py"
    whole = test.read_text()
    broken = whole.replace("assert str(exc.value) == ", "assert str(exc.value) != ", 1)
    broken = (
        broken if broken != whole else re.sub(r"^    assert ", "    assert not ", whole, count=1, flags=re.MULTILINE)
    )
    assert broken != whole
    try:
        test.write_text(broken)
        run = danube_run(project, "--network=host", state=tmp_path, seconds=300)
    finally:
        test.write_text(whole)
    assert_red_at_the_tests(run)


def assert_red_at_the_tests(run: Run) -> None:
    """The run failed with pytest's own exit code for failed tests, which is 1."""
    assert run.code == 1, run.everything
    assert re.search(r"1 failed, \d+ passed", run.printed)
    assert "step-failed" in run.errors
    assert "step 2 'Tests' failed with exit code 1" in run.errors
