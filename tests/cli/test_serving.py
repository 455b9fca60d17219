"""The end of a server's process."""

import subprocess
import sys

from tests.support.danube_process import ROOT

PROGRAM = """
import asyncio, threading
from danube_pkg.cli import serving

async def serve(options, stop):
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    print("closed")

serving.serve = serve
asyncio.run(serving._serve(None))
"""


def test_a_stopped_server_does_not_wait_for_its_threads() -> None:
    """A thread copies or removes the files of a pod, which takes as long as it takes; the next server repeats it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")
