"""Workflows of other systems become valid danubefiles; what is not carried over is named, and never runs by mistake."""

import os
from pathlib import Path

import pytest

from danube_pkg.core.danubefile import Outline, read_danubefile
from danube_pkg.core.documents.marked import Findings
from tests.support.command_line import run_command
from tests.support.danube_process import ROOT, run_danube

GITHUB = """
name: CI
on:
  push: {branches: [main]}
  pull_request:
  schedule: [{cron: "0 3 * * *"}]
env: {LEVEL: debug}
jobs:
  deploy:
    needs: [test]
    runs-on: ubuntu-latest
    if: github.ref == 'refs/heads/main' && github.event_name == 'push'
    steps:
      - run: ./deploy.sh ${{ github.sha }}
        env: {TOKEN: "${{ secrets.DEPLOY_TOKEN }}"}
      - run: rm -rf everything
        if: contains(github.event.head_commit.message, 'danger')
  test:
    runs-on: ubuntu-latest
    strategy: {matrix: {python-version: ["3.11", "3.12"], os: [ubuntu-latest], exclude: [{python-version: "3.11"}]}}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "${{ matrix.python-version }}"}
      - uses: actions/cache@v4
      - name: Tests
        shell: bash
        timeout-minutes: 5
        continue-on-error: true
        working-directory: app
        run: |
          pip install -r requirements.txt
          pytest --name "${{ matrix.python-version }}" | tee out
      - uses: actions/upload-artifact@v4
        with: {name: report, path: out}
"""

GITLAB = """
image: golang:1.25
stages: [build, deploy]
variables: {GOFLAGS: "-mod=readonly"}
deploy:
  stage: deploy
  script: ["./deploy.sh"]
  rules: [{if: '$CI_COMMIT_BRANCH == "main"'}]
compile:
  stage: build
  before_script: [go version]
  script: [go build ./..., [go test ./...]]
  retry: 2
  artifacts: {paths: [bin/app]}
  cache: {paths: [.cache]}
nightly:
  stage: deploy
  image: alpine
  allow_failure: true
  script: [echo night]
  rules: [{if: '$NIGHTLY'}]
.template: {script: [never]}
"""

WOODPECKER = """
matrix: {GO_VERSION: ["1.24", "1.25"]}
steps:
  - name: test
    image: golang
    commands: [go version, go test ./...]
    environment: {TOKEN: {from_secret: token}}
  - name: publish
    image: plugins/docker
    settings: {repo: x}
    when: [{branch: main}]
services: [{name: db, image: postgres}]
"""


def migrated(tmp_path: Path, text: str) -> tuple[str, str]:
    """The danubefile, and what is printed about it."""
    (tmp_path / "workflow.yml").write_text(text)
    done = run_command(["migrate-from", "workflow.yml"], b"", {}, tmp_path)
    assert done.returncode == 0, done.stderr
    return (tmp_path / "danubefile.py").read_text(), done.stderr


def outline(text: str) -> Outline:
    findings = Findings()
    found = read_danubefile(text.encode(), "danubefile.py", findings)
    assert not findings, [str(one) for one in findings.sorted()]
    assert found is not None
    return found


def test_a_workflow_of_github(tmp_path: Path) -> None:
    text, printed = migrated(tmp_path, GITHUB)
    found = outline(text)
    assert [one.name for one in found.secrets] == ["DEPLOY_TOKEN"]
    assert [one.name for one in found.artifacts] == ["report"]
    assert text.index("pytest") < text.index("./deploy.sh $DANUBE_COMMIT")
    assert '@pipeline(name="CI", env={"LEVEL": "debug"})' in text
    assert '{"OS": "ubuntu-latest", "PYTHON_VERSION": "3.12"}' in text
    assert '"3.11"' not in text
    assert "image=f\"python:{leg['PYTHON_VERSION']}\"" in text
    assert 'working_directory="app", shell="bash -eo pipefail", timeout_seconds=300, check=False' in text
    assert 'if ctx.branch == "main" and not ctx.pull_request:' in text
    for lost in ("actions/cache@v4: write its commands", "on: schedule", "branches of on: push"):
        assert lost in printed
        assert lost in text


def test_what_depends_on_an_unknown_condition_does_not_run(tmp_path: Path) -> None:
    text, printed = migrated(tmp_path, GITHUB)
    lines = text.splitlines()
    danger = next(number for number, line in enumerate(lines) if "rm -rf everything" in line)
    assert lines[danger - 1].strip() == "if False:"
    assert "contains(github.event.head_commit.message, 'danger'): what depends on it does not run" in printed


def test_a_pipeline_of_gitlab(tmp_path: Path) -> None:
    text, printed = migrated(tmp_path, GITLAB)
    found = outline(text)
    assert [step.name for step in found.steps] == ["compile: compile", "deploy: deploy", "nightly: nightly"]
    assert found.images == ("golang:1.25", "alpine")
    assert "retries=2" in text
    assert 'if ctx.branch == "main":' in text
    assert "if False:" in text
    assert "never" not in text
    assert [one.name for one in found.artifacts] == ["compile_bin_app"]
    assert "job compile: cache" in printed
    assert "job nightly: rules: it does not run" in printed


def test_a_file_of_woodpecker(tmp_path: Path) -> None:
    text, printed = migrated(tmp_path, WOODPECKER)
    found = outline(text)
    assert [one.name for one in found.secrets] == ["token"]
    assert 'for leg in [\n        {"GO_VERSION": "1.24"},\n        {"GO_VERSION": "1.25"},' in text
    assert "the plugin plugins/docker: write its commands" in printed
    assert "services: step.service" in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a", "its content must be a mapping"), ("a: [", "is not valid YAML"), (None, "cannot be read")],
)
def test_other_files_are_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "x.yml").write_text(text)
    done = run_command(["migrate-from", "x.yml"], b"", {}, tmp_path)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_an_existing_file_stays(tmp_path: Path) -> None:
    (tmp_path / "danubefile.py").write_text("mine")
    (tmp_path / "x.yml").write_text(GITLAB)
    assert run_command(["migrate-from", "x.yml"], b"", {}, tmp_path).returncode == 3
    done = run_command(["migrate-from", "x.yml", "--output", "-"], b"", {}, tmp_path)
    outline(done.stdout)
    assert (tmp_path / "danubefile.py").read_text() == "mine"


EXECUTED = """
name: Runs
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    strategy: {matrix: {letter: [a, b]}}
    steps:
      - uses: actions/checkout@v4
      - run: |
          echo "letter ${{ matrix.letter }} of $CI_COMMIT_BRANCH"
          mkdir -p out && echo "${{ matrix.letter }}" >> out/letters
      - uses: actions/upload-artifact@v4
        if: github.ref == 'refs/heads/other'
        with: {name: letters, path: out}
"""


def test_what_is_written_runs(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "ci.yml").write_text(EXECUTED)
    assert run_command(["migrate-from", "ci.yml"], b"", {}, tmp_path / "tree").returncode == 0
    environment = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = run_danube(["run", "tree"], {**os.environ, **environment, "PYTHONPATH": str(ROOT)}, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "letter a of" in done.stdout
    assert "letter b of" in done.stdout
