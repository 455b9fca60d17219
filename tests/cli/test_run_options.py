"""The options of `danube run`: a pipeline's file gives what a server would use, and options replace it."""

import argparse
import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.cli.main import parser_of
from danube_pkg.cli.missing_programs import LogTail
from danube_pkg.cli.run_directories import KEEP_FILE, KEPT_RUNS, list_runs, tidy
from danube_pkg.cli.run_options import MAX_SECONDS, RunRequest, add_arguments, run_request
from danube_pkg.cli.shown_tree import CopyReport
from danube_pkg.core.errors import Invalid
from danube_pkg.core.pipelines import GRACE_SECONDS
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network
from danube_pkg.kit.ids import sortable_id

PIPELINE = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: shop}
spec:
  repository: https://git.example.org/shop
  image: python:3.12
  max_duration_seconds: 90
  resources: {memory_mb: 512}
  egress_allowlist: [packages.test]
"""

CONFIG = """
apiVersion: danube.dev/v1
kind: Config
metadata: {name: global}
spec: {egress_allowlist: [mirror.test]}
"""


def request(*words: str, configured: tuple[str, ...] = ()) -> RunRequest:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run_request(parser.parse_args(words), configured)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "pipelines" / "shop.yaml").write_text(PIPELINE)
    (tmp_path / "danubefile.py").write_text("")
    return tmp_path


def test_without_a_pipeline_a_run_learns_its_egress_in_the_machines_own_image(tree: Path) -> None:
    settings = request(str(tree)).pipeline.settings
    assert settings.network is Network.LEARN
    assert (settings.image, settings.max_duration_seconds) == (HOST_IMAGE, MAX_SECONDS)


def test_a_pipelines_file_gives_image_limits_and_the_enforced_allowlist_of_the_server(tree: Path) -> None:
    made = request(str(tree), "--pipeline", str(tree / "pipelines" / "shop.yaml"), "--allow", "more.test")
    settings = made.pipeline.settings
    assert made.pipeline.name == "shop"
    assert settings.repository == str(tree)
    assert (settings.image, settings.max_duration_seconds, settings.memory_mb) == ("python:3.12", 90, 512)
    assert settings.network is Network.ALLOWLIST
    assert settings.egress_allowlist == ("mirror.test", "packages.test", "more.test")


def test_options_take_precedence_over_the_file(tree: Path) -> None:
    words = ("--image", "node:22", "--timeout", "5m", "--run-as-root", "--network", "none")
    settings = request(str(tree), "--pipeline", str(tree / "pipelines" / "shop.yaml"), *words).pipeline.settings
    assert (settings.image, settings.max_duration_seconds, settings.network) == ("node:22", 300, Network.NONE)
    assert settings.run_as_root


def test_host_paths_of_the_settings_and_of_options_are_shown(tree: Path) -> None:
    made = request(str(tree), "--host-path", "/usr/share", configured=("/opt/tools",))
    assert made.host_paths == (Path("/opt/tools"), Path("/usr/share"))
    with pytest.raises(Invalid, match="a container has a /tmp of its own"):
        request(str(tree), "--host-path", "/tmp")
    with pytest.raises(Invalid, match="there is no /no/such/directory"):
        request(str(tree), "--host-path", "/no/such/directory")


def test_a_program_that_the_image_does_not_show_is_named_with_its_place(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tree / "tools" / "bin" / "own-tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    tail = LogTail()
    tail.feed(b"/bin/sh: 1: own-tool: not found\nbash: line 3: sh: command not found\nno-such-tool: not found\n")
    assert tail.notes(()) == [
        f"own-tool is {program} on this machine, which the image host does not show: "
        f"danube run --host-path {tree / 'tools'}"
    ]
    assert tail.notes((tree / "tools",)) == []


@pytest.mark.parametrize(("seconds", "line"), [(1.0, ""), (9.0, "copied the working tree: 2.0 MB in 9.0 s; ")])
def test_a_copy_that_takes_long_is_named(seconds: float, line: str) -> None:
    times, stream = iter((100.0, 100.0 + seconds)), io.StringIO()
    report = CopyReport(lambda: next(times))
    report.add(2_000_000)
    report.close(stream)
    assert stream.getvalue().startswith(line)
    assert bool(stream.getvalue()) == bool(line)


def test_one_step_of_a_run_is_named(tree: Path) -> None:
    assert request(str(tree), "--step", "Tests").pipeline.settings.only_step == "Tests"
    assert request(str(tree)).pipeline.settings.only_step == ""
    assert request(str(tree)).pipeline.settings.grace_seconds == GRACE_SECONDS


def test_kept_runs_outlive_the_last_few_and_are_cleaned(tmp_path: Path) -> None:
    for number in range(KEPT_RUNS + 3):
        (tmp_path / sortable_id(1_800_000_000 + number, bytes(10))).mkdir()
    oldest = min(tmp_path.iterdir())
    (oldest / KEEP_FILE).touch()
    assert asyncio.run(tidy(tmp_path)) == 2
    kept = list_runs(tmp_path)
    assert len(kept) == KEPT_RUNS + 1
    assert (kept[0].directory, kept[0].keep, kept[0].started_at) == (oldest, True, "2027-01-15T08:00:00+00:00")
    assert asyncio.run(tidy(tmp_path, everything=True)) == KEPT_RUNS + 1
    assert list_runs(tmp_path) == []


@pytest.mark.parametrize("words", [("--keep", "--clean"), ("--list", "--clean"), ("--keep", "--list")])
def test_a_run_is_not_kept_and_removed_by_one_command(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parser_of("run").parse_args(["run", *words])
    assert refused.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


ASKS = "from danube import approval, pipeline\n@pipeline(name='a')\ndef a():\n    approval(%s)\n"


def test_an_environment_that_is_approved_beforehand_is_one_that_the_danubefile_names(tree: Path) -> None:
    (tree / "danubefile.py").write_text(ASKS % "'production'")
    assert request(str(tree), "--approve", "production").approved == ("production",)
    with pytest.raises(Invalid) as refused:
        request(str(tree), "--approve", "prodution")
    assert (refused.value.reference, refused.value.hint) == ("environment-unknown", "did you mean 'production'?")
    (tree / "pipelines" / "shop.yaml").write_text(f"{PIPELINE}  environments: {{staging: {{approvers: [core]}}}}\n")
    assert request(str(tree), "--approve", "staging", "--pipeline", str(tree / "pipelines" / "shop.yaml")).approved


@pytest.mark.parametrize("text", [ASKS % "name()", f"import deploy\n{ASKS % repr('production')}", "not Python"])
def test_what_a_danubefile_computes_may_be_approved_beforehand(tree: Path, text: str) -> None:
    (tree / "danubefile.py").write_text(text)
    assert request(str(tree), "--approve", "staging").approved == ("staging",)


def test_without_an_approval_none_is_approved_beforehand(tree: Path) -> None:
    (tree / "danubefile.py").write_text("from danube import pipeline\n@pipeline(name='a')\ndef a(): ...\n")
    with pytest.raises(Invalid) as refused:
        request(str(tree), "--approve", "production")
    assert refused.value.hint == "leave --approve out: there is no approval() in it"
