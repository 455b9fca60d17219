"""An unpacker that is killed or stopped does not count against the image."""

import sys
from pathlib import Path

import pytest

from danube_pkg.adapters.images import unpacker
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.images.reference import ImageBounds
from danube_pkg.kit import stopped


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "it was ended by SIGKILL"),
        ("sys.exit(3)", "it ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "it did not answer for 0.2 s"),
    ],
)
async def test_a_lost_unpacker_is_named_with_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, cause: str
) -> None:
    monkeypatch.setattr(unpacker, "LAYER_SECONDS", 0.2 if "STOP" in program else 60.0)
    text = f"import os, signal, sys\n{program}"
    monkeypatch.setattr(unpacker, "worker_command", lambda: (sys.executable, "-c", text))
    bounds = ImageBounds(files=10, image_bytes=1000, free_bytes=0, ratio=100)
    async with unpacker.unpacking(
        tmp_path, "app:1", 2, bounds, keep_owners=False, command_prefix=(), keep_open=()
    ) as made:
        with pytest.raises(Unavailable, match="the process that unpacks image app:1 is gone, at layer 1 of 2") as end:
            await made.finish()
    assert end.value.cause == cause


async def test_a_stopped_unpacker_is_ended_long_before_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped, "POLL_SECONDS", 0.05)
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    monkeypatch.setattr(unpacker, "worker_command", lambda: (sys.executable, "-c", text))
    bounds = ImageBounds(files=10, image_bytes=1000, free_bytes=0, ratio=100)
    async with unpacker.unpacking(
        tmp_path, "app:1", 2, bounds, keep_owners=False, command_prefix=(), keep_open=()
    ) as made:
        with pytest.raises(Unavailable) as end:
            await made.finish()
    assert end.value.cause == "it was ended by SIGKILL"
