"""Links that are kept between processes: used only where a new reading would find the same."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import link_cache
from danube_pkg.adapters.runtimes.sandbox.link_cache import links_of, machine_file, read_links


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose /usr has a link; what a test has just made counts as settled."""
    monkeypatch.setattr(link_cache, "SETTLED_NS", -1_000_000_000)
    made = tmp_path / "root"
    (made / "usr" / "lib" / "tool").mkdir(parents=True)
    (made / "usr" / "lib" / "tool" / "conf").symlink_to("/etc/tool")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run" / "links.json"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trees that were read and not taken from the file."""
    found: list[str] = []

    def read(root: Path, directory: str) -> link_cache.LinkTree:
        found.append(directory)
        return read_links(root, directory)

    monkeypatch.setattr(link_cache, "read_links", read)
    return found


def found(root: Path, file: Path | None) -> set[str]:
    return set(links_of(root, "/usr", file))


def test_an_unchanged_tree_is_read_once(root: Path, file: Path, readings: list[str]) -> None:
    assert found(root, file) == found(root, file) == {"/etc/tool"}
    assert readings == ["/usr"]
    assert file.stat().st_mode & 0o777 == 0o600


def add_link(root: Path) -> None:
    (root / "usr" / "lib" / "more").symlink_to("/etc/more")


def remove_link(root: Path) -> None:
    (root / "usr" / "lib" / "tool" / "conf").unlink()


def replace_link(root: Path) -> None:
    (root / "usr" / "lib" / "tool" / "new").symlink_to("/etc/other")
    os.replace(root / "usr" / "lib" / "tool" / "new", root / "usr" / "lib" / "tool" / "conf")


def add_directory(root: Path) -> None:
    (root / "usr" / "share").mkdir()
    (root / "usr" / "share" / "conf").symlink_to("/etc/share")


def move_directory(root: Path) -> None:
    (root / "usr" / "lib" / "tool").rename(root / "usr" / "tool")


def hide_the_change(root: Path) -> None:
    """With the time of modification of before, which any owner can set."""
    directory = root / "usr" / "lib"
    before = directory.stat()
    add_link(root)
    os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [add_link, remove_link, replace_link, add_directory, move_directory, hide_the_change]
)
def test_a_changed_tree_is_read_again(
    root: Path, file: Path, readings: list[str], change: Callable[[Path], None]
) -> None:
    found(root, file)
    change(root)
    assert found(root, file) == set(read_links(root, "/usr").targets)
    assert readings == ["/usr"] * 2


def test_a_tree_that_has_just_changed_is_not_kept(root: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_cache, "SETTLED_NS", 60_000_000_000)
    found(root, file)
    assert not file.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 0}', b'{"format": 1, "directories": [[1]]}'])
def test_a_damaged_file_is_replaced(root: Path, file: Path, content: bytes) -> None:
    found(root, file)
    file.write_bytes(content)
    assert found(root, file) == {"/etc/tool"}
    assert json.loads(file.read_bytes())["targets"] == ["/etc/tool"]


def test_a_file_that_others_could_have_written_is_not_used(root: Path, file: Path, readings: list[str]) -> None:
    found(root, file)
    file.chmod(0o666)
    assert found(root, file) == {"/etc/tool"}
    assert readings == ["/usr"] * 2


def test_a_link_in_place_of_the_file_is_not_followed(root: Path, file: Path, readings: list[str]) -> None:
    found(root, file)
    file.rename(file.with_suffix(".real"))
    file.symlink_to(file.with_suffix(".real"))
    assert found(root, file) == {"/etc/tool"}
    assert readings == ["/usr"] * 2


def test_without_a_place_for_the_file_the_tree_is_read(root: Path, tmp_path: Path) -> None:
    assert found(root, None) == {"/etc/tool"}
    assert found(root, tmp_path / "missing" / "run" / "links.json") == {"/etc/tool"}


def test_the_file_of_this_machine_is_in_a_directory_of_this_user() -> None:
    place = machine_file()
    assert place is None or place.parents[1].stat().st_uid == os.geteuid()
