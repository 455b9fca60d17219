"""What `danube install` asks and says, and what `danube uninstall` leaves."""

import argparse
import os
import sys
from pathlib import Path

import pytest

from danube_pkg.cli import main as command_line
from danube_pkg.cli.commands import install, uninstall
from danube_pkg.install.execution import carry_out
from danube_pkg.install.journal import InstallOptions, Journal
from danube_pkg.install.plan import plan_installation
from tests.fakes.installation import FakeMachine, FakeProgram


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    made = FakeMachine(tmp_path / "machine")
    monkeypatch.setattr(uninstall, "this_machine", lambda options: made.machine)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return made


def install_on(fake: FakeMachine) -> None:
    plan = plan_installation(InstallOptions(), fake.write_program("/root/danube", FakeProgram()), {"config.yaml": ""})
    carry_out(plan, fake.machine, Journal(fake.machine.files), InstallOptions(), lambda step, change: None)


def test_data_that_was_taken_over_is_named_and_stays(fake: FakeMachine, capsys: pytest.CaptureFixture[str]) -> None:
    before = fake.tree()
    install_on(fake)
    assert command_line.main(["uninstall", "--yes", "--keep-data"]) == 0
    assert "  directory /etc/danube, mode 0755, owner root\n" in capsys.readouterr().out.partition("\nkept:\n")[2]
    install_on(fake)
    assert command_line.main(["uninstall", "--yes"]) == 0
    assert "and kept; if it is not needed: rm -r /var/lib/danube /etc/danube\n" in capsys.readouterr().out
    assert {"/var/lib/danube/danube.db", "/etc/danube/danube.toml"} <= fake.tree().keys() - before.keys()


def test_data_of_the_installation_itself_goes_without_a_word(
    fake: FakeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    install_on(fake)
    assert command_line.main(["uninstall", "--yes"]) == 0
    assert "kept" not in capsys.readouterr().out
    assert not {"/var/lib/danube", "/etc/danube"} & fake.tree().keys()


@pytest.mark.parametrize(
    ("words", "answer", "allowed"),
    [([], "y", True), ([], "", False), ([], "no", False), (["--yes"], "y", False), (["--host-images=allow"], "", True)],
)
def test_whether_jobs_may_use_the_machine_itself_is_asked_and_refused_by_default(
    monkeypatch: pytest.MonkeyPatch, words: list[str], answer: str, allowed: bool
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    parser = argparse.ArgumentParser()
    install.arguments(parser)
    assert install._options(parser.parse_args(words), None).host_images is allowed


def test_an_installation_names_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    install._print_next(InstallOptions(listen="10.0.0.1:80"), "ssh-ed25519 AAAA", is_changed=True)
    printed = capsys.readouterr().out
    for text in ("http://10.0.0.1:80", "danube init --config", "ssh-ed25519 AAAA", "danube image load FILE", "TLS. "):
        assert text in printed
    install._print_next(InstallOptions(host_images=True), "ssh-ed25519 AAAA", is_changed=False)
    printed = capsys.readouterr().out
    assert "nothing was changed" in printed
    assert "image load" not in printed
