"""Unpacking the source: exactly the tree, and nothing outside it, whatever a pushed archive contains."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from danube_pkg.pod.source_tree import BadSource, unpack


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_700_000_000
    return info


Entry: TypeAlias = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def archive(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for entry in entries:
            info, data = entry if isinstance(entry, tuple) else (entry, b"")
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def in_chunks(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def everything_in(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_files_directories_links_modes_and_times_arrive(workspace: Path) -> None:
    large = os.urandom(3 << 20)
    data = archive(
        member("empty", tarfile.DIRTYPE, mode=0o755),
        (member("run.sh", mode=0o755), b"#!/bin/sh\n"),
        (member("deep/er/large"), large),
        member("link", tarfile.SYMTYPE, "deep/er"),
        (member("grün/" + "x" * 200), b"long and not ASCII"),
    )
    for size in (7919, len(data)):
        unpack(in_chunks(data, size), workspace)
        assert (workspace / "empty").is_dir()
        assert (workspace / "run.sh").stat().st_mode & 0o777 == 0o755
        assert (workspace / "run.sh").stat().st_mtime == 1_700_000_000
        arrived = (workspace / "deep" / "er" / "large").read_bytes() == large
        assert arrived
        assert os.readlink(workspace / "link") == "deep/er"
        assert (workspace / "grün" / ("x" * 200)).read_bytes() == b"long and not ASCII"


def test_the_earlier_content_is_removed(workspace: Path, tmp_path: Path) -> None:
    """A fetch is repeated after the stream was cut: nothing of the first attempt stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (workspace / "old").mkdir()
    (workspace / "old" / "file").touch()
    (workspace / "link").symlink_to(outside)
    unpack(in_chunks(archive((member("new"), b"x"))), workspace)
    assert everything_in(workspace) == {"new"}
    assert (outside / "kept").exists()


def test_directories_become_read_only_after_their_content_is_written(workspace: Path) -> None:
    unpack(in_chunks(archive(member("d", tarfile.DIRTYPE, mode=0o555), (member("d/f"), b"x"))), workspace)
    assert (workspace / "d" / "f").read_bytes() == b"x"


def test_setuid_and_setgid_bits_are_dropped(workspace: Path) -> None:
    unpack(in_chunks(archive((member("tool", mode=0o6755), b"x"))), workspace)
    assert (workspace / "tool").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_are_those_of_git_and_the_group_writes_where_it_shares_the_tree(workspace: Path, umask: int) -> None:
    """A shared tree is marked by a umask that leaves the group its rights, and by setgid directories."""
    modes = {"source": 0o644, "tool": 0o755, "fixed": 0o444, "key": 0o600}
    files = [(member(f"d/{name}", mode=mode), b"x") for name, mode in modes.items()]
    workspace.chmod(0o2775)
    script = "import os, sys; from pathlib import Path; from danube_pkg.pod.source_tree import unpack;"
    script += f"os.umask({umask}); unpack(iter([sys.stdin.buffer.read()]), Path(sys.argv[1]))"
    data = archive(member("d", tarfile.DIRTYPE, mode=0o755), *files)
    subprocess.run([sys.executable, "-c", script, str(workspace)], input=data, check=True)
    found = {name: (workspace / "d" / name).stat().st_mode & 0o777 for name in modes}
    shared = {"source": 0o664, "tool": 0o775, "fixed": 0o444, "key": 0o600}
    assert found == (shared if umask == 0o002 else modes)
    assert (workspace / "d").stat().st_mode & 0o7777 == (0o2775 if umask == 0o002 else 0o2755)


OUT = "../outside"
HOSTILE: Mapping[str, Sequence[Entry]] = {
    "a name with two dots": [(member("../evil"), b"x")],
    "two dots in the middle": [(member("a/../../evil"), b"x")],
    "an absolute name": [(member("/tmp/danube-evil"), b"x")],
    "a file through a link": [member("link", tarfile.SYMTYPE, OUT), (member("link/evil"), b"x")],
    "a file through a link to a link": [
        member("one", tarfile.SYMTYPE, OUT),
        member("two", tarfile.SYMTYPE, "one"),
        (member("two/evil"), b"x"),
    ],
    "a directory through a link": [member("link", tarfile.SYMTYPE, OUT), member("link/evil", tarfile.DIRTYPE)],
    "a link through a link": [member("link", tarfile.SYMTYPE, OUT), member("link/evil", tarfile.SYMTYPE, "x")],
    "a directory where a link is": [
        member("link", tarfile.SYMTYPE, OUT),
        member("link", tarfile.DIRTYPE, mode=0o777),
    ],
    "a directory where a dangling link is": [
        member("link", tarfile.SYMTYPE, OUT + "/evil"),
        member("link", tarfile.DIRTYPE),
    ],
    "a hard link": [member("hard", tarfile.LNKTYPE, "../outside/kept")],
    "a device": [member("null", tarfile.CHRTYPE)],
    "a pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members_are_refused_and_write_nothing(workspace: Path, tmp_path: Path, case: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "kept").write_bytes(b"kept")
    with pytest.raises(BadSource):
        unpack(in_chunks(archive(*HOSTILE[case])), workspace)
    assert everything_in(outside) == {"kept"}
    assert (outside / "kept").read_bytes() == b"kept"
    assert outside.stat().st_mode & 0o777 == 0o700
    assert everything_in(tmp_path) - {"workspace", "outside", "outside/kept"} <= {"workspace/link"} | {
        "workspace/one",
        "workspace/two",
    }


@pytest.mark.parametrize("target", ["link", "file"])
def test_a_second_member_of_the_same_name_is_never_written_through_the_first(
    workspace: Path, tmp_path: Path, target: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    first = member("name", tarfile.SYMTYPE, "../victim") if target == "link" else (member("name"), b"first")
    with pytest.raises(FileExistsError):
        unpack(in_chunks(archive(first, (member("name"), b"second"))), workspace)
    assert victim.read_bytes() == b"kept"


@pytest.mark.parametrize("data", [b"this is not a tar archive" * 100, b"", b"\0" * 100])
def test_a_stream_that_is_not_a_tar_archive_is_refused(workspace: Path, data: bytes) -> None:
    with pytest.raises(BadSource, match="cannot be read"):
        unpack(in_chunks(data), workspace)


def test_a_truncated_stream_is_refused(workspace: Path) -> None:
    data = archive((member("large"), os.urandom(1 << 20)))
    with pytest.raises((BadSource, OSError)):
        unpack(in_chunks(data[: 1 << 19]), workspace)


def test_a_broken_connection_is_raised_to_the_caller(workspace: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield archive((member("large"), os.urandom(1 << 20)))[: 1 << 19]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        unpack(broken(), workspace)


def test_a_name_with_a_zero_byte_is_refused(workspace: Path) -> None:
    info = member("plain")
    info.pax_headers = {"path": "zero\0byte"}
    with pytest.raises(BadSource):
        unpack(in_chunks(archive((info, b"x"))), workspace)
