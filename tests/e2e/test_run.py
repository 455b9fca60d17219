"""`danube run`: the working tree as it is, without a server."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.adapters.runtimes.sandbox.as_user import run_as_ordinary_user
from tests.e2e.runs import danube_run, refused_run
from tests.support.danube_process import DANUBE, ROOT
from tests.support.waiting import wait_until

HEAD = "from danube import artifacts, ctx, pipeline, secrets, step\n\n@pipeline(name='t')\ndef build():\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


def write(tree: Path, *lines: str) -> None:
    (tree / "danubefile.py").write_text(HEAD + "".join(f"    {line}\n" for line in lines))


def runs_of(state: Path) -> list[Path]:
    return sorted((state / "danube" / "runs").iterdir())


def test_a_green_run_ends_with_one_line_and_keeps_artifacts(tree: Path, state: Path) -> None:
    write(tree, "step.run('echo hi > kept; echo said', name='Say')", "artifacts.upload('kept', name='kept')")
    run = danube_run(tree, state=state)
    assert run.code == 0, run.everything
    printed = run.printed[run.printed.index("--- step 1") :]  # before it stands what this machine cannot limit
    assert printed.startswith('--- step 1 "Say" (host)\nsaid\n--- step 1 success')
    assert "\x1b" not in run.everything
    assert run.errors.splitlines()[-1] == "tree success"
    artifact, log = (
        Path(line.split(": ")[1].split(" (")[0].split(", kept")[0]) for line in run.errors.splitlines()[-3:-1]
    )
    assert artifact.read_text() == "hi\n"
    assert b"said" in log.read_bytes()
    assert not (runs_of(state)[0] / "keys").exists()
    assert list((runs_of(state)[0] / "pods").iterdir()) == []


def test_a_red_run_returns_1_with_a_hint(tree: Path, state: Path) -> None:
    write(tree, "step.run('exit 9', name='Nine')")
    run = danube_run(tree, state=state)
    assert run.code == 1
    assert "tree failure (step-failed): step 1 'Nine' failed with exit code 9" in run.errors
    assert "hint: " in run.errors


def test_a_run_has_uncommitted_changes_and_no_ignored_files(tree: Path, state: Path) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(tree)]
    write(
        tree,
        "step.run('cat code; test ! -e ignored; git status --short; git rev-parse HEAD', name='Look')",
        "print(ctx.branch)",
    )
    (tree / "code").write_text("old\n")
    (tree / ".gitignore").write_text("ignored\n")
    for words in (["init", "-q", "-b", "topic"], ["add", "-A"], ["commit", "-q", "-m", "First"]):
        subprocess.run([*git, *words], check=True)
    (tree / "code").write_text("changed\n")
    (tree / "ignored").touch()
    (tree / "new").touch()
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    run = danube_run(tree, state=state)
    assert run.code == 0, run.everything
    assert "changed\n M code\n?? new\n" + head in run.printed
    assert "topic\n" in run.printed


def test_params_secrets_and_events_as_json(tree: Path, state: Path) -> None:
    write(tree, "step.run('echo \"$T $P\"', env={'T': secrets.get('T'), 'P': ctx.params['P']})")
    (state / "value").write_text("only-for-this-run\n")
    words = ("--json", "--param", "P=parameter", "--secret", f"T=@{state / 'value'}")
    run = danube_run(tree, *words, state=state)
    assert run.code == 0, run.everything
    events = [json.loads(line) for line in run.printed.splitlines()]
    assert {event["event"] for event in events} == {"log", "step", "job"}
    assert "*** parameter\n" in "".join(event["text"] for event in events if event["event"] == "log")
    assert events[-1]["status"] == "success"
    again = danube_run(tree, "--param", "P=x", "--secret", "T=@-", state=state, stdin="from-standard-input")
    assert again.code == 0, again.everything
    for path in (path for path in state.rglob("*") if path.is_file() and path != state / "value"):
        assert b"only-for-this-run" not in path.read_bytes()
        assert b"from-standard-input" not in path.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--secret", "T=in-the-arguments"), 2, "must come from a file"),
        (("--secret", "T=@/no/such/file"), 2, "cannot be read"),
        (("--param", "no-equals-sign"), 2, "--param KEY=VALUE"),
        (("--script", "ci/missing.py"), 2, "there is no ci/missing.py"),
        (("--network", "everything"), 2, "invalid choice"),
    ],
)
def test_bad_options_are_refused_before_a_step_runs(
    tree: Path, state: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    write(tree, "step.run('true')")
    run = refused_run(tree, *words, state=state)
    assert run.code == code
    assert said in run.errors
    assert "in-the-arguments" not in run.errors


PIPELINE = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: shop}
spec:
  repository: https://git.example.org/shop
  script: ci/build.py
  env: {LEVEL: from-the-file}
  max_duration_seconds: 77
  egress_allowlist: [packages.test]
  params: {target: {type: choice, choices: [test, prod], default: test}}
"""


def test_a_pipelines_file_gives_its_variables_parameters_and_script(tree: Path, state: Path) -> None:
    (tree / "ci").mkdir()
    (tree / "ci" / "build.py").write_text(
        HEAD + "    step.run('echo $LEVEL $MORE ' + ctx.params['target'] + ' ' + ctx.pipeline)\n"
    )
    (tree / "danube-pipeline.yaml").write_text(PIPELINE)
    (tree / "danubefile.py").write_text(HEAD + "    step.run('echo $PATH')\n")
    words = ("--pipeline", str(tree / "danube-pipeline.yaml"), "--env", "MORE=from-an-option")
    run = danube_run(tree, *words, state=state)
    assert run.code == 0, run.everything
    assert "from-the-file from-an-option test shop\n" in run.printed
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix="danube-test-") as tools:  # a pod has a /tmp of its own
        (Path(tools) / "bin").mkdir()
        Path(tools).chmod(0o755)
        tool = danube_run(tree, "--host-path", tools, "--keep", state=state)
    assert tool.code == 0, tool.everything
    assert f"{tools}/bin:" in tool.printed
    assert "danube-pipeline.yaml is not used: danube run --pipeline" in tool.errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec: {}", "apiVersion must be"),
        (PIPELINE + "\n---" + PIPELINE, "exactly one pipeline; found: shop, shop"),
        (PIPELINE.replace("env:", "enf:"), "did you mean 'env'?"),
    ],
)
def test_a_wrong_pipelines_file_is_refused_with_its_line(tree: Path, state: Path, text: str, said: str) -> None:
    write(tree, "step.run('true')")
    (tree / "p.yaml").write_text(text)
    run = refused_run(tree, "--pipeline", str(tree / "p.yaml"), state=state)
    assert run.code == 2
    assert said in run.errors


def test_a_directory_without_a_danubefile_is_refused_with_a_hint(tree: Path, state: Path) -> None:
    run = refused_run(tree, state=state)
    assert run.code == 2
    assert "there is no danubefile.py in" in run.errors
    assert "hint:" in run.errors


def started(tree: Path, state: Path) -> subprocess.Popen[bytes]:
    """Start a run in the background, as the foreground group of a terminal, and wait until its step prints `begun`."""
    output = state / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*DANUBE, "run", str(tree)],
            stdout=file,
            stderr=file,
            env={**os.environ, "XDG_STATE_HOME": str(state), "PYTHONPATH": str(ROOT)},
            process_group=0,
        )
    wait_until(lambda: b"begun" in output.read_bytes(), 30, "the step to begin")
    return process


def test_ctrl_c_cancels_the_run_and_removes_its_pod(tree: Path, state: Path) -> None:
    """A terminal sends it to each process of the group."""
    write(tree, "step.run('echo begun; sleep 100')")
    process = started(tree, state)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    output = (state / "output").read_text()
    assert output.splitlines()[-1] == "tree cancelled (cancelled): cancelled by an interrupt"
    assert "danube rerun" not in output
    assert "Traceback" not in output
    assert list((runs_of(state)[0] / "pods").iterdir()) == []


def test_the_next_run_removes_the_pod_of_a_killed_one(tree: Path, state: Path) -> None:
    write(tree, "step.run('echo begun; test -e quick || sleep 100')")
    process = started(tree, state)
    process.kill()
    process.wait(30)
    left = runs_of(state)[0] / "pods"
    assert len(list(left.iterdir())) == 1
    (tree / "quick").touch()
    assert danube_run(tree, state=state).code == 0
    assert list(left.iterdir()) == []


def test_it_works_as_an_ordinary_user(tree: Path, state: Path) -> None:
    """In the same mount namespace as the tests of the sandbox, so that the user can read this tree."""
    write(
        tree,
        "step.run('echo \"user $(id -u)\"; touch mine; ls -ln mine', name='Who')",
        "artifacts.upload('mine', name='mine')",
    )
    done = run_as_ordinary_user([*DANUBE, "run", "tree"], tree)
    assert done.returncode == 0, done.stdout
    assert "user 1000\n" in done.stdout
    assert "no control groups" in done.stdout
