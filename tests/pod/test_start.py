"""What the coordinator's process imports: its start is most of what a small job costs."""

import os
import subprocess
import sys
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(grpc.__file__).parents[1]

LEFT_OUT = {
    *("asyncio", "ssl", "email", "grpc.aio", "google.protobuf.internal.python_message", "importlib.metadata"),
    *("ast", "calendar", "dis", "gzip", "hashlib", "inspect", "ipaddress", "json", "lzma", "queue", "random", "socket"),
}
"""Modules that a start of the coordinator does not need."""

MOST_MODULES = 200
"""186 with Python 3.11 and what is imported with grpcio-tools. One more costs half a millisecond of each job."""


def run(program: str) -> str:
    """What a program prints, run as pods run the coordinator."""
    path = os.pathsep.join(map(str, (ROOT / "sdk", ROOT, PACKAGES)))
    command = [sys.executable, "-s", "-S", "-c", program]
    return subprocess.run(
        command, env={"PYTHONPATH": path}, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_the_coordinator_imports_what_it_uses() -> None:
    found = set(run("import sys, danube_pkg.pod.coordinator; print(*sys.modules)").split())
    assert not found & LEFT_OUT
    assert len(found) <= MOST_MODULES


def test_a_danubefile_gets_the_modules_that_the_coordinator_leaves_out() -> None:
    program = """
import danube_pkg.pod.coordinator
import asyncio, asyncio.subprocess
async def answer():
    return 42
print(asyncio.run(answer()), asyncio.__file__ is not None)
"""
    assert run(program).split() == ["42", "True"]
