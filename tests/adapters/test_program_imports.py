"""What the small programs of adapters import: one starts for each image, each pod or each measurement, and every
module costs it time."""

import subprocess
import sys

import pytest

from tests.support.forked import ROOT

LEFT_OUT = {
    "danube_pkg.adapters.images.worker": ("asyncio", "msgspec"),
    "danube_pkg.adapters.runtimes.sandbox.user_namespace_program": ("asyncio", "danube_pkg.services"),
    "danube_pkg.adapters.egress.program": ("aiohttp", "sqlite3", "danube_pkg.adapters.egress.proxies"),
}
"""A program → modules that it does without. msgspec takes as long as all else that the unpacking worker imports."""


@pytest.mark.parametrize("program", LEFT_OUT)
def test_a_small_program_leaves_out_what_it_does_not_need(program: str) -> None:
    work = f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}; import {program}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", work], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert program in found
    assert not found & set(LEFT_OUT[program])
