"""A Git worker that is killed or stopped does not count against the repository."""

import logging
import signal
import sys

import pytest

from danube_pkg.adapters.git import process
from danube_pkg.adapters.git.process import Worker
from danube_pkg.core.errors import Unavailable
from danube_pkg.kit import stopped
from tests.support.git_worker import Spawned

REQUEST = {"do": "fetch", "repository": "https://git.example.org/app"}


def worker(program: str) -> Worker:
    return Worker(Spawned((sys.executable, "-c", f"import os, signal, sys\nsys.stdin.readline()\n{program}")))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_killed_worker_is_named_with_its_signal(number: signal.Signals) -> None:
    with pytest.raises(Unavailable, match=f"the Git worker was ended by {number.name}") as refusal:
        await worker(f"os.kill(os.getpid(), {number.value})").ask(REQUEST)
    assert refusal.value.reference == "git-worker-lost"
    assert "git fsck" not in refusal.value.hint


@pytest.mark.parametrize(
    ("bound", "prints"), [("ANSWER_TIMEOUT_SECONDS", ""), ("CHUNK_TIMEOUT_SECONDS", "print('{', end='', flush=True)\n")]
)
async def test_a_stopped_worker_is_ended_within_its_bound(
    monkeypatch: pytest.MonkeyPatch, bound: str, prints: str
) -> None:
    monkeypatch.setattr(process, bound, 0.2)
    with pytest.raises(Unavailable, match=r"did not answer in 0\.2 s"):
        await worker(f"{prints}os.kill(os.getpid(), signal.SIGSTOP)").ask(REQUEST)


async def test_a_stopped_worker_is_ended_long_before_its_bound_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopped, "POLL_SECONDS", 0.05)
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable, match="was ended by SIGKILL"):
        await worker("os.kill(os.getpid(), signal.SIGSTOP)").ask(REQUEST)
    assert [record.message for record in caplog.records] == ["process-stopped"]
