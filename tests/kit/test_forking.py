"""Processes of a fork server: each is a process of its own, with nothing of the others, and none is left behind."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.kit import forking
from danube_pkg.kit.forking import ForkedProcess, ForkServer
from tests.support.waiting import wait_until_async

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "SERVER": "yes"}


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with ForkServer("tests.kit.forked_program", ENVIRONMENT) as made:
        yield made


async def start(server: ForkServer, do: str, **variables: str) -> ForkedProcess:
    return await server.start({"DO": do, **variables}, 1 << 16)


async def described(server: ForkServer, text: bytes) -> tuple[ForkedProcess, dict[str, object]]:
    process = await start(server, "describe", WORD="one")
    process.stdin.write(text)
    process.stdin.close()
    answer = json.loads(await process.stdout.read())
    assert await process.stderr.read() == b"a remark\n"
    assert await process.wait() == 7
    process.kill()
    return process, answer


async def test_a_process_has_its_own_pipes_session_and_environment(server: ForkServer) -> None:
    process, answer = await described(server, b"hello")
    assert answer["text"] == "hello"
    assert answer["environment"] == {"DO": "describe", "WORD": "one"}
    assert answer["session"] == process.pid
    assert isinstance(answer["open"], dict)
    assert sorted(answer["open"]) == ["0", "1", "2"], answer["open"]


async def test_the_program_is_imported_once(server: ForkServer) -> None:
    found = [await described(server, b"") for _ in range(3)]
    assert len({answer["imported_in"] for _, answer in found}) == 1
    assert len({process.pid for process, _ in found}) == 3


async def test_an_error_of_the_program_is_its_exit_code_and_a_signal_too(server: ForkServer) -> None:
    failed = await start(server, "fail")
    assert b"ValueError: broken" in await failed.stderr.read()
    assert await failed.wait() == 1
    died = await start(server, "die")
    assert await died.wait() == -signal.SIGSEGV
    for one in (failed, died):
        one.kill()


async def test_a_killed_process_is_gone_and_others_stay(server: ForkServer) -> None:
    one, other = await start(server, "pause"), await start(server, "pause")
    assert await one.stdout.readline() == await other.stdout.readline() == b"waits\n"
    one.kill()
    assert await one.wait() == -signal.SIGKILL
    assert not Path(f"/proc/{one.pid}").exists()
    assert Path(f"/proc/{other.pid}").exists()
    other.kill()
    assert await other.wait() == -signal.SIGKILL


async def test_a_cancelled_start_leaves_no_process(server: ForkServer) -> None:
    await described(server, b"")
    for seconds in (0.0, 0.0002, 0.0005, 0.001, 0.002):  # the start takes about a millisecond
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                (await start(server, "pause")).kill()
    (parent,) = {answer["imported_in"] for _, answer in [await described(server, b"")]}
    children = Path(f"/proc/{parent}/task/{parent}/children")
    await wait_until_async(lambda: not children.read_text().split(), 10, "every process to be gone")


async def test_the_processes_of_an_ended_fork_server_end_and_another_one_starts(server: ForkServer) -> None:
    process = await start(server, "pause")
    assert await process.stdout.readline() == b"waits\n"
    _, answer = await described(server, b"")
    os.kill(int(str(answer["imported_in"])), signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await wait_until_async(lambda: not Path(f"/proc/{process.pid}").exists(), 10, "the process to be gone")
    process.kill()
    _, again = await described(server, b"")
    assert again["imported_in"] != answer["imported_in"]


async def test_a_stopped_fork_server_is_replaced(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits for its end, and one that is to be started, would wait for ever."""
    monkeypatch.setattr(forking, "POLL_SECONDS", 0.1)
    process = await start(server, "pause")
    _, answer = await described(server, b"")
    stopped = int(str(answer["imported_in"]))
    os.kill(stopped, signal.SIGSTOP)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    _, again = await described(server, b"")
    os.kill(int(str(again["imported_in"])), signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        await start(server, "pause")
    _, last = await described(server, b"")
    assert len({answer["imported_in"], again["imported_in"], last["imported_in"]}) == 3


async def test_a_process_ends_with_its_server(server: ForkServer) -> None:
    process = await start(server, "pause")
    assert await process.stdout.readline() == b"waits\n"
    server.close()
    assert await process.wait() == -signal.SIGKILL
    process.kill()


async def test_a_program_that_cannot_be_imported_is_an_error_of_the_start() -> None:
    with ForkServer("tests.kit.no_such_program", ENVIRONMENT) as server, pytest.raises(OSError):
        await server.start({}, 1 << 16)
