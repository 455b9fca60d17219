"""Many jobs in a row: the room that they need, an end that does not come, and interrupts."""

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from danube_pkg.cli.commands import selftest as command
from danube_pkg.cli.selftest import experiment
from danube_pkg.cli.selftest.experiment import SelfTest, run_selftest
from danube_pkg.core.errors import Invalid


class Usage(NamedTuple):
    """As `shutil.disk_usage` returns it."""

    total: int
    used: int
    free: int


def a_test(directory: Path, notes: list[str], jobs: int = 5000) -> SelfTest:
    return SelfTest(directory, 1, notes.append, threading.Event(), jobs=jobs)


def test_a_disk_without_room_for_the_jobs_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment.shutil, "disk_usage", lambda path: Usage(1 << 40, 0, 1 << 30))
    with pytest.raises(Invalid) as refusal:
        run_selftest(a_test(tmp_path, []))
    assert refusal.value.reference == "selftest-no-room"
    assert "--directory DIR" in refusal.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A server that runs and a load of which three jobs have ended; no further one ends."""
    monkeypatch.setattr(experiment, "NOTE_SECONDS", 0.01)
    monkeypatch.setattr(experiment, "POLL_SECONDS", 0.001)
    server = SimpleNamespace(process_id=os.getpid(), unexpected_end=lambda: "")
    load = SimpleNamespace(ended={"1": {}, "2": {}, "3": {}}, error=None, is_alive=lambda: True)
    return SimpleNamespace(server=server), load


def test_a_run_in_which_no_job_ends_is_given_up(
    tmp_path: Path, running: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "STALL_SECONDS", 0.02)
    notes = list[str]()
    course = experiment._Course([], [], [], [], [], [0.0])
    assert not experiment._wait_for_count(a_test(tmp_path, notes), *running, course, 4, 0.0)
    assert "3 of 5000 jobs, about" in notes[0]


def test_a_run_waits_while_jobs_end_and_no_longer(tmp_path: Path, running: tuple[Any, Any]) -> None:
    scratch, load = running
    notes = list[str]()
    course = experiment._Course([], [], [], [], [], [0.0])
    assert experiment._wait_for_count(a_test(tmp_path, notes), scratch, load, course, 3, 0.0)
    test = a_test(tmp_path, notes)
    test.stopped.set()
    assert not experiment._wait_for_count(test, scratch, load, course, 4, 0.0)


def test_the_first_signal_ends_a_run_early_and_the_second_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean-up is interrupted by no further one."""
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    stopped = threading.Event()
    command._stop(stopped, signal.SIGINT, None)
    assert stopped.is_set()
    assert handlers == {}
    with pytest.raises(KeyboardInterrupt):
        command._stop(stopped, signal.SIGINT, None)
    assert handlers == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN, signal.SIGHUP: signal.SIG_IGN}
