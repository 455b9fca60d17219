"""From a forge's delivery to a job: how long until the first line of its log, and how many deliveries a second are
accepted."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import Figure, percentile
from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.server import Installation
from tests.support.webhook_deliveries import SECRET, Sender, configure, github_headers, port_of, push_body

HELLO = """
from danube import pipeline, step

@pipeline(name="hello")
def build():
    step.run("echo the-first-line")
"""
LINE = b"the-first-line"
TIMES = 9
LOOK_SECONDS = 0.005
"""Polling costs the measured server time; at this interval it hardly changes the figure."""
DELIVERIES = 2000
CONNECTIONS = 64
QUIET = "https://git.example.org/team/quiet.git"
"""The repository of a pipeline that pushes do not start: only receiving deliveries is measured."""


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory:
        danube, served = Installation(Path(directory)), Path(directory) / "served"
        local, remote = ServedRepository(served / "local.git"), ServedRepository(served / "remote.git")
        with HttpServer(served) as git:
            places = {"a repository on this machine": (local, str(local.bare)), "http": (remote, git.url(remote))}
            configure(danube)
            for number, (_, url) in enumerate(places.values()):
                danube.pipeline(f"app{number}", None, repository=url, triggers=[{"on": "push"}])
            danube.pipeline("quiet", None, repository=QUIET, triggers=[{"on": "tag"}])
            danube.serve()
            try:
                danube.command("secrets", "set", "hook", stdin=SECRET)
                found = [_first_line(danube, name, *place) for name, place in places.items()]
                return [*found, *asyncio.run(_taken(danube))]
            finally:
                danube.close()


def _first_line(danube: Installation, name: str, repository: ServedRepository, url: str) -> Figure:
    ways = []
    for number in range(TIMES):
        sha = repository.commit({"danubefile.py": HELLO, "file": f"{name} {number}\n"})
        ways.append(_delivery_to_first_line(danube, push_body(url, sha), sha))
    return Figure(
        f"webhook to first log line, {name}",
        statistics.median(ways),
        "s",
        0.25,
        note=f"longest {max(ways):.3f} s; each of a new commit",
    )


def _delivery_to_first_line(danube: Installation, body: bytes, delivery: str) -> float:
    """Seconds from the request until the log has what a step printed."""
    logs = danube.data / "logs"
    before = set(logs.glob("*.log"))
    sender = Sender(port_of(danube))
    headers = github_headers(body, delivery)
    started = time.perf_counter()
    answer = sender.post("/hooks/github", body, headers)
    if answer.status != 202:
        raise RuntimeError(f"the delivery was answered {answer.status}: {answer.document}")
    until = started + 30
    while not any(LINE in path.read_bytes() for path in set(logs.glob("*.log")) - before):
        if time.perf_counter() > until:
            raise RuntimeError(f"no line came: {danube.command('jobs').stdout}")
        time.sleep(LOOK_SECONDS)
    took = time.perf_counter() - started
    sender.close()
    danube.end_of(danube.jobs()[0]["id"])
    return took


async def _taken(danube: Installation) -> Sequence[Figure]:
    """Deliveries a second, each stored before its response."""
    bodies = [push_body(QUIET, f"{number:040x}") for number in range(DELIVERIES)]
    requests = [_request(body, github_headers(body, f"many-{number}")) for number, body in enumerate(bodies)]
    times: list[float] = []
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for at in range(CONNECTIONS):
            group.create_task(_send(port_of(danube), requests[at::CONNECTIONS], times), name=f"connection {at}")
    rate = DELIVERIES / (time.perf_counter() - started)
    return [
        Figure(
            f"deliveries taken, {CONNECTIONS} connections", rate, "/s", note=f"{DELIVERIES} of {len(bodies[0])} bytes"
        ),
        Figure("deliveries taken, 99th percentile", percentile(times, 99) * 1000, "ms"),
    ]


def _request(body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**headers, "host": "x", "content-length": str(len(body))}.items()]
    return "\r\n".join(["POST /hooks/github HTTP/1.1", *lines, "", ""]).encode() + body


async def _send(port: int, requests: Sequence[bytes], times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        times.append(time.perf_counter() - started)
        if b" 202 " not in head.partition(b"\r")[0]:
            raise RuntimeError(f"a delivery was answered {head!r}")
    writer.close()
