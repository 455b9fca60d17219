"""`danube-step capture` and `apply`: what a command has changed comes back elsewhere, or nothing at all is changed."""

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap

RECORD = struct.Struct("<BBHIQqI")


class Container:
    """A root of its own and a workspace, in which `danube-step` runs with nothing else that is writable."""

    def __init__(self, top: Path) -> None:
        self.root, self.workspace = top / "root", top / "workspace"
        for one in (self.root / "etc", self.root / "opt" / "tool", self.workspace / "src"):
            one.mkdir(parents=True)
        (self.root / "etc" / "hosts").write_text("before\n")
        (self.root / "opt" / "tool" / "old").write_text("old")
        (self.workspace / "src" / "main.c").write_text("main\n")

    def argv(self, verb: str) -> list[str]:
        step = build_supervisor("danube-step")
        shown = ["--bind", str(self.root), "/", "--bind", str(self.workspace), "/workspace"]
        shown += ["--ro-bind", str(step), "/.danube/danube-step", "--proc", "/proc", "--dev", "/dev"]
        return [str(find_bubblewrap()), *shown, "--", "/.danube/danube-step", verb]

    @contextlib.contextmanager
    def capturing(self) -> Iterator[list[subprocess.CompletedProcess[bytes]]]:
        """What the block changes; the result is in the list once the block has ended."""
        found: list[subprocess.CompletedProcess[bytes]] = []
        pipe = subprocess.PIPE
        with subprocess.Popen(self.argv("capture"), stdin=pipe, stdout=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.read(6) == b"ready\n"
            yield found
            process.stdin.write(b"g")
            process.stdin.close()
            output = process.stdout.read()
            found.append(subprocess.CompletedProcess(process.args, process.wait(), output))

    def capture(self, work: Callable[["Container"], None]) -> subprocess.CompletedProcess[bytes]:
        with self.capturing() as found:
            work(self)
        return found[0]

    def apply(self, archive: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.argv("apply"), input=archive, capture_output=True, check=False)

    def described(self) -> list[tuple[str, int, bytes]]:
        found = []
        for top in (self.root, self.workspace):
            for path in sorted(top.rglob("*")):
                mode = path.lstat().st_mode
                content = (
                    os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
                )
                if not {"proc", "dev", ".danube", "workspace"} & set(path.relative_to(top).parts[:1]):
                    found.append((str(path.relative_to(top.parent)), mode, content))
        return found


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Container:
    """As `container` was before the step."""
    return Container(tmp_path / "two")


def install(one: Container) -> None:
    """What an installer does: new trees, a file of the image replaced, one removed, a mode changed, a link."""
    modules = one.workspace / "node_modules" / "left pad\n"
    modules.mkdir(parents=True)
    (modules / "index.js").write_bytes(b"x" * 300_000)
    (modules / "bin").symlink_to("index.js")
    (one.workspace / "src" / "made.c").write_text("made\n")
    modules.chmod(0o555)
    (one.root / "etc" / "hosts").write_text("after\n")
    shutil.rmtree(one.root / "opt" / "tool")
    (one.root / "opt").chmod(0o700)
    (one.root / "usr" / "bin").mkdir(parents=True)
    (one.root / "usr" / "bin" / "tool").write_text("#!/bin/sh\n")
    (one.root / "usr" / "bin" / "tool").chmod(0o755)
    os.utime(one.root / "usr" / "bin" / "tool", (1, 1_000_000_000))


def test_what_a_step_changed_comes_back(container: Container, other: Container) -> None:
    kept = container.capture(install)
    assert kept.returncode == 0, kept.stdout[-300:]
    applied = other.apply(kept.stdout)
    assert applied.returncode == 0, applied.stdout
    assert other.described() == container.described()
    assert (other.root / "usr" / "bin" / "tool").stat().st_mtime == 1_000_000_000


def test_the_rest_of_the_workspace_may_differ(container: Container, other: Container) -> None:
    kept = container.capture(install).stdout
    (other.workspace / "src" / "main.c").write_text("another commit\n")
    assert other.apply(kept).returncode == 0
    assert (other.workspace / "src" / "main.c").read_text() == "another commit\n"
    assert (other.workspace / "src" / "made.c").read_text() == "made\n"


def test_a_repeated_call_is_the_same_call(container: Container, other: Container) -> None:
    kept = container.capture(install).stdout
    assert other.apply(kept).returncode == 0
    once = other.described()
    again = other.apply(kept)
    assert again.returncode == 0, again.stdout
    assert other.described() == once


def test_a_step_that_changes_nothing_has_an_empty_snapshot(container: Container, other: Container) -> None:
    kept = container.capture(lambda one: None)
    assert kept.returncode == 0
    before = other.described()
    assert other.apply(kept.stdout).returncode == 0
    assert other.described() == before


def _edit(one: Container) -> None:
    (one.workspace / "src" / "main.c").write_text("edit\n")


def _remove(one: Container) -> None:
    shutil.rmtree(one.workspace / "src")


def _close(one: Container) -> None:
    (one.workspace / "src").chmod(0o700)


def _exchange(one: Container) -> None:
    """The same size and the same time of modification: the inode and the time of the change differ."""
    main = one.workspace / "src" / "main.c"
    before = main.stat()
    main.unlink()
    main.write_text("MAIN\n")
    os.utime(main, ns=(before.st_atime_ns, before.st_mtime_ns))


def _rename(one: Container) -> None:
    (one.workspace / "src").rename(one.workspace / "source")


@pytest.mark.parametrize("work", [_edit, _remove, _close, _exchange, _rename])
def test_files_of_the_commit_that_a_step_changes_are_not_kept(
    container: Container, work: Callable[[Container], None]
) -> None:
    kept = container.capture(work)
    assert kept.returncode == 1
    assert b"may only add files" in kept.stdout


def _other_file(one: Container) -> None:
    (one.workspace / "src" / "made.c").write_text("own\n")


def _other_tree(one: Container) -> None:
    (one.workspace / "node_modules").mkdir()


def _missing_base(one: Container) -> None:
    shutil.rmtree(one.workspace / "src")


def _link_as_base(one: Container) -> None:
    shutil.rmtree(one.workspace / "src")
    (one.workspace / "src").symlink_to("/etc")


@pytest.mark.parametrize("change", [_other_file, _other_tree, _missing_base, _link_as_base])
def test_a_workspace_where_it_does_not_fit_stays_as_it_is(
    container: Container, other: Container, change: Callable[[Container], None]
) -> None:
    kept = container.capture(install).stdout
    change(other)
    before = other.described()
    ended = other.apply(kept)
    assert ended.returncode == 1
    assert b"danube-step: apply: " in ended.stdout
    assert other.described() == before


@pytest.mark.parametrize("cut", [0, 5, 60, 300_200, -1, -40])
def test_an_incomplete_snapshot_changes_nothing(container: Container, other: Container, cut: int) -> None:
    kept = container.capture(install).stdout
    before = other.described()
    ended = other.apply(kept[:cut])
    assert ended.returncode == 1
    assert other.described() == before


def record(kind: str, name: bytes = b"", link: bytes = b"", size: int = 0, mode: int = 0o755) -> bytes:
    return RECORD.pack(ord(kind), len(name), len(link), mode, size, 0, 0) + name + link


REPLACES = 1 << 31


@pytest.mark.parametrize(
    "records",
    [
        [record("P", link=b"/workspace"), record("F", b"../etc/hosts")],
        [record("P", link=b"/workspace"), record("F", b"..")],
        [record("P", link=b"/workspace/../etc"), record("X", b"hosts", mode=REPLACES)],
        [record("P", link=b"/workspace/src"), record("X", b"main.c", mode=REPLACES)],
        [record("P", link=b"/workspace/src"), record("F", b"main.c", mode=REPLACES)],
        [record("P", link=b"/workspace"), record("F", b"new"), record("E", size=7)],
        [record("F", b"new"), record("E", size=1)],
        [record("U"), record("E")],
        [record("?"), record("E")],
    ],
)
def test_a_hostile_snapshot_changes_nothing(other: Container, records: list[bytes]) -> None:
    before = other.described()
    assert other.apply(b"DNBS1\n\0\0" + b"".join(records) + record("E")).returncode == 1
    assert other.described() == before


def test_a_failure_at_the_end_is_taken_back(container: Container, other: Container) -> None:
    """The mode of a directory that is gone cannot be set: everything that had its place loses it again."""
    kept = container.capture(install).stdout
    assert b"opt" in kept
    (other.root / "opt" / "tool" / "old").unlink()
    (other.root / "opt" / "tool").rmdir()
    (other.root / "opt").rmdir()
    (other.root / "opt").write_text("a file")
    before = other.described()
    assert other.apply(kept).returncode == 1
    assert other.described() == before


def test_a_capture_whose_server_is_gone_ends(container: Container) -> None:
    with subprocess.Popen(container.argv("capture"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    assert (process.returncode, output) == (0, b"ready\n")


def test_attributes_that_cannot_be_kept_refuse_the_snapshot(container: Container) -> None:
    def work(one: Container) -> None:
        path = one.root / "opt" / "ping"
        path.touch()
        os.setxattr(path, "user.own", b"1")

    kept = container.capture(work)
    assert kept.returncode == 1
    assert b"extended attributes" in kept.stdout


def test_owners_come_back(container: Container, other: Container) -> None:
    """Those of others too where the container has root, which alone gives files away."""
    user, group = (7, 8) if os.geteuid() == 0 else (os.geteuid(), os.getegid())

    def work(one: Container) -> None:
        (one.root / "opt" / "theirs").mkdir()
        (one.root / "opt" / "theirs" / "file").touch()
        os.chown(one.root / "opt" / "theirs" / "file", user, group)
        os.chown(one.root / "opt" / "tool", user, group)

    kept = container.capture(work)
    assert other.apply(kept.stdout).returncode == 0
    for path in ("theirs/file", "tool"):
        found = (other.root / "opt" / path).stat()
        assert (found.st_uid, found.st_gid) == (user, group)
