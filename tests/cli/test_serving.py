"""A server's process: what it has before its parts are opened, and its end after they are closed."""

import subprocess
import sys
from pathlib import Path

from danube_pkg.kit.heap import MAX_ARENAS
from tests.support.danube_process import ROOT

END = """
import asyncio, threading
from danube_pkg.cli import serving

async def serve(options, stop):
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    print("closed")

serving.serve = serve
asyncio.run(serving._serve(None))
"""

ARENAS = """
import argparse, sys
from danube_pkg.cli import serving
from tests.support.arenas import arenas_of_threads

async def serve(options):
    print(arenas_of_threads())

serving._serve = serve
serving.run_server(argparse.Namespace(listen=None, data=sys.argv[1], trial=False), sys.argv[2], None)
"""


def test_a_stopped_server_does_not_wait_for_its_threads() -> None:
    """A thread copies or removes the files of a pod, which takes as long as it takes; the next server repeats it."""
    done = subprocess.run(
        [sys.executable, "-c", END], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")


def test_the_threads_of_a_server_share_a_bounded_number_of_arenas(tmp_path: Path) -> None:
    """Each arena keeps what was freed in it, so that the memory of a server would grow with its threads."""
    (tmp_path / "config").mkdir()
    settings = tmp_path / "danube.toml"
    settings.write_text('[config_repo]\nurl = "config"\n')
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, str(tmp_path / "data"), str(settings)],
        env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert 1 <= int(done.stdout) <= MAX_ARENAS
