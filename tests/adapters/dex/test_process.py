"""Dex as a child process: how often one that ends is started, and what is logged of it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.dex.process import STEADY_SECONDS, ChildDex, DexFiles
from danube_pkg.kit.loops import Timing
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_async


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "danube.dex"):
        yield caplog


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def events(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in log.records]


async def test_a_dex_that_ends_is_started_again_and_logged_once(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    text = f"echo start >> {tmp_path}/starts\n[ -e {tmp_path}/fixed ] && exec sleep 60\necho no database"
    program = script(tmp_path / "dex", text)
    launcher = script(tmp_path / "launcher", 'shift 2; exec "$@"')  # as danube-ns: tied PID PROGRAM…
    clock = MovedClock(0.0)
    dex = ChildDex(DexFiles(program, launcher, tmp_path / "data"), Timing(clock, lambda: 1.0))

    def starts() -> int:
        return (tmp_path / "starts").read_text().count("start") if (tmp_path / "starts").exists() else 0

    async def wait_for_pause(seconds: float) -> None:
        await wait_until_async(lambda: clock.next_wake == clock.now() + seconds, 20, f"a pause of {seconds} s")

    try:
        await dex.apply("{}")
        for number, pause in enumerate((0.1, 0.2, 0.4), start=1):
            await wait_for_pause(pause)
            assert starts() == number
            assert dex.last_failure() == "no database"
            if number == 3:
                (tmp_path / "fixed").touch()
            clock.move(pause)
        await wait_for_pause(STEADY_SECONDS)
        assert "dex-recovered" not in events(log)
        clock.move(STEADY_SECONDS)
        await wait_until_async(lambda: "dex-recovered" in events(log), 20, "the log entry")
        assert events(log).count("dex-failed") == 1
        (failed,) = [record for record in log.records if record.message == "dex-failed"]
        assert failed.__dict__["fields"]["cause"] == "no database"
    finally:
        await dex.close()


async def test_a_program_that_cannot_be_started_is_reported(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    files = DexFiles(tmp_path / "dex", tmp_path / "no-launcher", tmp_path / "data")
    dex = ChildDex(files, Timing(MovedClock(0.0)))
    try:
        await dex.apply("{}")
        await wait_until_async(lambda: "dex-failed" in events(log), 20, "the log entry")
        assert dex.last_failure() == f"{tmp_path}/dex: No such file or directory"
    finally:
        await dex.close()


async def test_a_dex_that_runs_is_ended_and_started_again_on_request(tmp_path: Path) -> None:
    program = script(tmp_path / "dex", f"echo start >> {tmp_path}/starts\nexec sleep 60")
    launcher = script(tmp_path / "launcher", 'shift 2; exec "$@"')
    dex = ChildDex(DexFiles(program, launcher, tmp_path / "data"), Timing(MovedClock(0.0), lambda: 1.0))
    starts = tmp_path / "starts"
    try:
        dex.restart()  # before there is a configuration: nothing to do
        await dex.apply("{}")
        await wait_until_async(
            lambda: starts.exists() and starts.read_text().count("start") == 1, 20, "the first start"
        )
        dex.restart()
        await wait_until_async(lambda: starts.read_text().count("start") == 2, 20, "the second start")
    finally:
        await dex.close()
