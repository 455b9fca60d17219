"""`danube-step pack` and `unpack`: what is restored is what was kept, and a restore that fails changes nothing."""

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor

RECORD = struct.Struct("<BBHIQqI")
MAGIC = b"DNBA1\n\0\0"


def run(verb: str, *paths: str, data: bytes = b"", home: str = "/") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(build_supervisor("danube-step")), verb, *paths],
        input=data,
        capture_output=True,
        check=False,
        env={"HOME": home},
    )


def record(kind: str, name: bytes = b"", link: bytes = b"", size: int = 0, mode: int = 0o755) -> bytes:
    return RECORD.pack(ord(kind), len(name), len(link), mode, size, 0, 0) + name + link


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with what a cache has: a program, a read-only directory, links, an empty file, an odd name."""
    top = tmp_path / "home" / ".cache"
    (top / "modules").mkdir(parents=True)
    (top / "modules" / "read only").write_bytes(b"x" * 300_000)
    (top / "tool").write_text("#!/bin/sh\n")
    (top / "tool").chmod(0o755)
    (top / "empty\n").touch()
    (top / "link").symlink_to("/nowhere")
    os.utime(top / "tool", (1, 1_000_000_000))
    (top / "modules").chmod(0o555)
    return top


def described(top: Path) -> list[tuple[str, int, int, bytes]]:
    found = []
    for path in [top, *sorted(top.rglob("*"))]:
        stat = path.lstat()
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found.append((str(path.relative_to(top)), stat.st_mode, stat.st_mtime_ns, content))
    return found


def test_a_tree_comes_back_with_modes_times_and_links(tree: Path) -> None:
    before = described(tree)
    kept = run("pack", "~/.cache", home=str(tree.parent))
    assert kept.returncode == 0
    assert run("pack", "~/.cache", home=str(tree.parent)).stdout == kept.stdout  # the same files, the same bytes
    other = tree.parent.parent / "other"
    assert run("unpack", "~/.cache", data=kept.stdout, home=str(other)).returncode == 0
    assert described(other / ".cache") == before
    assert [one.name for one in other.iterdir()] == [".cache"]


def test_a_restored_tree_replaces_an_older_one(tree: Path) -> None:
    kept = run("pack", str(tree)).stdout
    before = described(tree)
    (tree / "stale").write_text("old")
    assert run("unpack", str(tree), data=kept).returncode == 0
    assert described(tree) == before
    assert [one.name for one in tree.parent.iterdir()] == [".cache"]


@pytest.mark.parametrize("cut", [0, 5, 40, -1, -30])
def test_an_incomplete_archive_changes_nothing(tree: Path, cut: int) -> None:
    kept = run("pack", str(tree)).stdout
    (tree / "own").write_text("mine")
    before = described(tree)
    ended = run("unpack", str(tree), data=kept[:cut])
    assert (ended.returncode, b"incomplete" in ended.stdout) == (1, True)
    assert described(tree) == before
    assert [one.name for one in tree.parent.iterdir()] == [".cache"]


@pytest.mark.parametrize(
    "records",
    [
        [record("T"), record("D"), record("F", b"../out", size=0), record("U"), record("E")],
        [record("T"), record("D"), record("F", b"..", size=0), record("U"), record("E")],
        [record("T"), record("D"), record("F", b"a\0b", size=0), record("U"), record("E")],
        [record("T"), record("F", b"out", size=0), record("E")],
        [record("T"), record("D"), record("U"), record("U"), record("E")],
        [record("T"), record("D"), record("L", b"a", b"/etc"), record("F", b"a", size=0), record("U"), record("E")],
        [record("T"), record("L", b"", b"/etc"), record("D"), record("U"), record("E")],
        [record("T", size=9), record("D"), record("U"), record("E")],
        [record("T"), record("D"), record("U"), record("T"), record("D"), record("U"), record("E")],
        [record("D"), record("U"), record("E")],
        [record("X"), record("E")],
    ],
    ids=str,
)
def test_a_hostile_archive_stays_inside_and_changes_nothing(tmp_path: Path, records: list[bytes]) -> None:
    target = tmp_path / "in" / "cache"
    target.mkdir(parents=True)
    (target / "own").write_text("mine")
    ended = run("unpack", str(target), data=MAGIC + b"".join(records))
    assert ended.returncode == 1
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == ["in", "in/cache", "in/cache/own"]


def test_one_path_that_cannot_be_replaced_leaves_all_as_they_were(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept").write_text("kept")
    kept = run("pack", str(tmp_path / "a"), str(tmp_path / "b")).stdout
    (tmp_path / "a" / "kept").write_text("newer")
    ended = run("unpack", str(tmp_path / "a"), "/proc/self", data=kept)  # nothing can be made in /proc
    assert ended.returncode == 1
    assert (tmp_path / "a" / "kept").read_text() == "newer"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_missing_or_special_is_left_out(tmp_path: Path) -> None:
    assert run("pack", str(tmp_path / "none")).returncode == 3
    (tmp_path / "some").mkdir()
    os.mkfifo(tmp_path / "some" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "some" / "socket"))
    kept = run("pack", str(tmp_path / "none"), str(tmp_path / "some"))
    assert kept.returncode == 0
    assert run("unpack", str(tmp_path / "none"), str(tmp_path / "some"), data=kept.stdout).returncode == 0
    assert [one.name for one in tmp_path.rglob("*")] == ["some"]


def test_a_path_is_absolute_or_below_home(tmp_path: Path) -> None:
    for path in ("relative", "~root/x"):
        ended = run("pack", path, home=str(tmp_path))
        assert (ended.returncode, b"not a usable path" in ended.stdout) == (1, True)
    assert run("unpack", "/", data=MAGIC + record("E")).returncode == 1
