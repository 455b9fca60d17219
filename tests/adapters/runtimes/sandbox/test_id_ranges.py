"""A range of user ids belongs to one pod at a time, over all servers of this machine."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.runtimes.sandbox import id_ranges
from danube_pkg.adapters.runtimes.sandbox.id_maps import IDS_OF_A_POD
from danube_pkg.adapters.runtimes.sandbox.id_ranges import FIRST_POD_USER, IdRanges
from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory
from danube_pkg.core.errors import HostLacks
from danube_pkg.kit.directory_identity import identify
from tests.adapters.runtimes.sandbox.pods import EVENT_SECONDS, new_pod_id, open_pods, spec_of
from tests.support.waiting import wait_until, wait_until_async

ROOT = Path(__file__).resolve().parents[4]
PODS_OF_A_SERVER = 25

SERVER = """
import concurrent.futures, json, os, pathlib, sys
from danube_pkg.adapters.runtimes.sandbox.id_ranges import IdRanges

ranges, data = IdRanges(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
nothing = os.open("/dev/null", os.O_RDWR)
sys.stdin.readline()
with concurrent.futures.ThreadPoolExecutor(25) as pool:
    bases = list(pool.map(ranges.claim, [data / str(number) for number in range(25)]))
ends = []
for base in bases:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        for number in range(3):  # the server's pipes end with the server
            os.dup2(nothing, number)
        os.setresuid(base + 7, base + 7, base + 7)
        os.write(write, b"1")
        os.execv("/bin/sleep", ("sleep", "600"))
    os.read(read, 1)
    ends.append(child)
print(json.dumps([bases, ends]), flush=True)
sys.stdin.readline()
"""
"""Claims ranges for 25 pods at once, when it gets a line, and starts a process with an id of each."""


class RangeServers:
    """Servers that claim ranges in one directory. processes: of all of their pods."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ranges = IdRanges(directory / "ranges")
        self.processes: list[int] = []
        self._servers: list[Process] = []

    async def start(self, name: str) -> Process:
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, str(self.directory / "ranges"), str(self.directory / name),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._servers.append(server)
        return server

    async def claimed(self, server: Process) -> list[int]:
        """What a server claimed, after all had their line."""
        assert server.stdout is not None
        async with asyncio.timeout(EVENT_SECONDS):
            bases, processes = json.loads(await server.stdout.readline())
        self.processes += processes
        return list(bases)

    async def claim_at_once(self, *servers: Process) -> list[int]:
        for server in servers:
            assert server.stdin is not None
            server.stdin.write(b"\n")
        return [base for server in servers for base in await self.claimed(server)]

    async def kill_servers(self) -> None:
        for server in self._servers:
            with contextlib.suppress(ProcessLookupError):
                server.kill()
            await server.wait()

    def end_pods(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not any(map(runs, self.processes)), EVENT_SECONDS, "the processes of the pods to end")
        self.processes.clear()


def runs(process: int) -> bool:
    """A zombie runs too: it has its entry in /proc until it is reaped."""
    return Path(f"/proc/{process}").exists()


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[RangeServers]:
    made = RangeServers(tmp_path)
    try:
        yield made
    finally:
        await made.kill_servers()
        made.end_pods()


async def test_fifty_pods_of_two_servers_that_start_at_once_have_fifty_ranges(servers: RangeServers) -> None:
    both = [await servers.start("one"), await servers.start("two")]
    bases = await servers.claim_at_once(*both)
    assert len(set(bases)) == 2 * PODS_OF_A_SERVER
    assert all((base - FIRST_POD_USER) % IDS_OF_A_POD == 0 for base in bases)


async def test_a_claim_outlives_the_kill_of_its_server_until_the_pods_last_process_ends(servers: RangeServers) -> None:
    first = await servers.claim_at_once(await servers.start("one"))
    await servers.kill_servers()
    second = await servers.claim_at_once(await servers.start("two"))
    assert set(first).isdisjoint(second)
    await servers.kill_servers()
    servers.end_pods()
    again = await servers.claim_at_once(await servers.start("three"))
    assert set(again) & set(first), "ranges whose pods have ended are given to others"


@pytest.fixture
def no_other_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods of other tests begin and end meanwhile, with ranges that they claimed elsewhere."""
    monkeypatch.setattr(id_ranges, "_ranges_in_use", set)


@pytest.mark.usefixtures("no_other_pods")
def test_a_claim_without_a_process_lasts_until_it_is_released(tmp_path: Path) -> None:
    """A pod's first process has not started yet, and another pod asks for a range."""
    ranges = IdRanges(tmp_path)
    first, second = ranges.claim(tmp_path / "a"), ranges.claim(tmp_path / "b")
    assert first != second
    ranges.release(tmp_path / "a")
    ranges.release(tmp_path / "never claimed")
    assert (ranges.claim(tmp_path / "c"), ranges.claim(tmp_path / "d") in (first, second)) == (first, False)


@pytest.mark.usefixtures("no_other_pods")
def test_a_creation_that_is_repeated_claims_one_range(tmp_path: Path) -> None:
    ranges = IdRanges(tmp_path)
    assert ranges.claim(tmp_path / "a") == ranges.claim(tmp_path / "a")


@pytest.mark.usefixtures("no_other_pods")
def test_a_claim_that_was_not_written_to_its_end_is_free(tmp_path: Path) -> None:
    ranges = IdRanges(tmp_path)
    base = ranges.claim(tmp_path / "a")
    (tmp_path / str((base - FIRST_POD_USER) // IDS_OF_A_POD)).write_text('{"pod": "')
    assert ranges.claim(tmp_path / "b") == base


def test_a_directory_that_cannot_be_written_is_named_with_what_makes_it(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(HostLacks) as refused:
        IdRanges(tmp_path / "run" / "danube").claim(tmp_path / "pod")
    assert refused.value.hint == f"install -d -m 0700 {tmp_path}/run/danube"


async def test_pods_of_two_data_directories_that_start_at_once_have_different_ids(tmp_path: Path) -> None:
    async with open_pods(tmp_path / "one") as one, open_pods(tmp_path / "two") as two:
        created = [each.runtime.create_pod(spec_of(new_pod_id())) for each in (one, two, one, two)]
        await asyncio.gather(*created)
        records = [
            PodDirectory(each.data / "pods", state.pod_id, identify(each.data).id).read_pod()
            for each in (one, two)
            for state in await each.runtime.list_pods()
        ]
        bases = {record.user_base for record in records if record is not None}
        assert len(bases) == len(records) == 4
        first = one.runtime.holder_process((await one.runtime.list_pods())[0].pod_id)
        await wait_until_async(lambda: Path(f"/proc/{first}").stat().st_uid in bases, EVENT_SECONDS, "its user")
