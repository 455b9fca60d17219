"""Trees that untrusted code made: measured and removed whatever depth, width, names and permissions they have, and
whatever changes meanwhile."""

import contextlib
import errno
import os
import random
import resource
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danube_pkg.kit import descent
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees
from danube_pkg.kit.trees import remove_entry, remove_tree
from tests.support.trees import inside, make_deep

NO_LIMIT = TreeSize(1 << 60, 1 << 60)
NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 0x2F} & set(name) and name not in (b".", b".."))

Plan = dict[bytes, "Plan | int"]
"""Directories by name, and files by their mode."""

PLANS = st.recursive(
    st.dictionaries(NAMES, st.sampled_from([0, 0o600, 0o777]), max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(inner, st.sampled_from([0, 0o644])), max_size=4),
    max_leaves=12,
)


def make(top: bytes, plan: Plan, modes: random.Random) -> int:
    """Makes a tree with random modes; the number of inodes."""
    os.mkdir(top)
    count = 1
    for name, content in plan.items():
        path = top + b"/" + name
        if isinstance(content, dict):
            count += make(path, content, modes)
        elif content:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, content))
            count += 1
        else:
            os.symlink(b"/etc", path)
            count += 1
    os.chmod(top, modes.choice([0, 0o100, 0o300, 0o400, 0o500, 0o777]))
    return count


@contextmanager
def most_descriptors(more: int) -> Iterator[None]:
    """This process may open so many more files, and some that have lower numbers than others."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd"))) + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def few_descriptors_left() -> Iterator[None]:
    """This process may open two more files."""
    taken: list[int] = []
    with most_descriptors(64):
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            for descriptor in taken[:2]:
                os.close(descriptor)
        try:
            yield
        finally:
            for descriptor in taken[2:]:
                os.close(descriptor)


def as_ordinary_user(work: Callable[[], None]) -> None:
    """Runs in a child process without the rights of root, which would hide what permissions do."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(1234, 1234, 1234)
                os.setresuid(1234, 1234, 1234)
            work()
        except BaseException as error:  # noqa: BLE001 - the exit code is all that the parent sees
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS, seed=st.integers(0, 1 << 32))
def test_any_tree_is_removed_by_its_owner(tmp_path: Path, plan: Plan, seed: int) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)

    def work() -> None:
        os.chdir(tmp_path)
        make(b"top", plan, random.Random(seed))
        remove_tree(Path("top"))
        assert not os.path.lexists("top")

    as_ordinary_user(work)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS, seed=st.integers(0, 1 << 32))
def test_every_inode_is_measured_or_a_problem_is_reported(tmp_path: Path, plan: Plan, seed: int) -> None:
    with inside(tmp_path):
        count = make(b"top", plan, random.Random(seed))
        try:
            found = measure_trees([Path("top")], NO_LIMIT)
            assert found.inodes == count or (found.problem == "Permission denied" and found.inodes < count)
        finally:
            remove_tree(Path("top"))


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory in memory, where a disk would take milliseconds for each directory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize(("depth", "name"), [(1_200, "d" * 200), pytest.param(100_000, "d", marks=pytest.mark.long)])
def test_depth_changes_nothing(in_memory: Path, depth: int, name: str) -> None:
    """Beyond the recursion limit of Python, the length of a path and the descriptors of a process."""
    make_deep(in_memory / "top", depth, name)
    found = measure_trees([in_memory / "top"], NO_LIMIT)
    assert (found.inodes, found.problem) == (depth + 2, "")
    assert found.size_bytes >= 50_000
    remove_tree(in_memory / "top")
    assert list(in_memory.iterdir()) == []


def test_few_descriptors_are_open_at_a_time(tmp_path: Path) -> None:
    make_deep(tmp_path / "top", 300)
    opened = len(os.listdir("/proc/self/fd"))
    with most_descriptors(descent.KEPT_OPEN + 8):
        assert measure_trees([tmp_path / "top"], NO_LIMIT).inodes == 302
        remove_tree(tmp_path / "top")
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_lack_of_descriptors_is_not_the_trees_fault(tmp_path: Path) -> None:
    """Otherwise a busy server would take every workspace as too large."""
    make_deep(tmp_path / "top", 20)
    with few_descriptors_left(), pytest.raises(OSError, match="Too many open files"):
        measure_trees([tmp_path / "top"], NO_LIMIT)


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 1_000_000)
    os.link(tmp_path / "one", tmp_path / "two")
    found = measure_trees([tmp_path, tmp_path], NO_LIMIT)
    assert found.inodes == 2
    assert 1_000_000 <= found.size_bytes < 1_100_000


def test_a_measurement_ends_at_its_limit(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).mkdir()
    found = measure_trees([tmp_path], TreeSize(1 << 60, 10))
    assert found.exceeds(TreeSize(1 << 60, 10))
    assert measure_trees([tmp_path / "missing"], NO_LIMIT) == TreeSize()


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"x" * 1_000_000)
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(outside)
    (tmp_path / "link").symlink_to(outside)
    assert measure_trees([tmp_path / "top"], NO_LIMIT).size_bytes < 100_000
    remove_tree(tmp_path / "top")
    remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


def test_what_can_be_removed_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / "top" / name).mkdir(parents=True)
        (tmp_path / "top" / name / "file").touch()
    unlink = os.unlink
    inode = (tmp_path / "top" / "b").stat().st_ino

    def unlink_unless_broken(name: str, *, dir_fd: int) -> None:
        if os.fstat(dir_fd).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error", "x" * 5000)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink_unless_broken)
    with pytest.raises(OSError, match="Input/output error: 'file'") as caught:
        remove_tree(tmp_path / "top")
    assert len(str(caught.value)) < 200
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["top", "top/b", "top/b/file"]


def test_a_directory_in_an_open_one(tmp_path: Path) -> None:
    (tmp_path / "top" / "inner").mkdir(parents=True)
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_entry("top", parent)
        remove_entry("top", parent)
        assert os.listdir(parent) == []
    finally:
        os.close(parent)


@contextmanager
def busy(work: Callable[[int], None]) -> Iterator[None]:
    """Repeats some work in another thread; what it needs may have vanished."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            try:
                work(number)
            except OSError:
                continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("seed", range(4))
def test_a_tree_that_changes_is_measured_or_a_problem_is_reported(tmp_path: Path, seed: int) -> None:
    """Directories become files, links and other directories; nothing but the lack of descriptors is ever raised."""
    rng = random.Random(seed)
    names = [f"n{number}" for number in range(6)]

    def change(number: int) -> None:
        above = tmp_path.joinpath(*(rng.choice(names) for _ in range(rng.randrange(4))))
        path = above / rng.choice(names)
        match rng.randrange(5):
            case 0:
                path.mkdir(parents=True)
            case 1:
                path.write_bytes(b"x" * rng.randrange(10_000))
            case 2:
                path.symlink_to("/etc")
            case 3:
                path.rename(tmp_path / rng.choice(names))
            case _:
                remove_tree(path)

    with busy(change):
        for _ in range(40):
            assert measure_trees([tmp_path], NO_LIMIT).inodes < 5_000
            with contextlib.suppress(OSError):  # it is filled again while it is emptied
                remove_tree(tmp_path / rng.choice(names))
    remove_tree(tmp_path)
    assert not tmp_path.exists()


def test_a_directory_that_is_renamed_all_the_time_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has another name each time that its parent was read; a measurement that ignored it would never count it."""
    (tmp_path / "top" / "n0").mkdir(parents=True)
    (tmp_path / "top" / "n0" / "large").write_bytes(b"x" * 1_000_000)
    enter, tries = descent.Descent.enter, 0

    def rename_and_enter(way: descent.Descent, name: str) -> None:
        nonlocal tries
        tries += 1
        if tries <= renames:
            os.rename(tmp_path / "top" / name, tmp_path / "top" / f"n{tries}")
        enter(way, name)

    monkeypatch.setattr(descent.Descent, "enter", rename_and_enter)
    renames = 50
    assert measure_trees([tmp_path / "top"], NO_LIMIT).size_bytes >= 1_000_000
    tries, renames = 0, 1_000_000
    assert measure_trees([tmp_path / "top"], NO_LIMIT).problem == "directories are renamed as fast as they are read"


def test_a_deep_directory_that_is_moved_away_ends_in_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_deep(tmp_path / "top", descent.KEPT_OPEN + 5, "d")
    monkeypatch.setattr(descent, "_above", lambda directory: os.open(tmp_path, os.O_RDONLY))
    assert measure_trees([tmp_path / "top"], NO_LIMIT).problem == "a directory was moved while the tree was read"
    with pytest.raises(OSError, match="moved"):
        remove_tree(tmp_path / "top")
    monkeypatch.undo()
    remove_tree(tmp_path / "top")
