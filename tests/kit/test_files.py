"""Files that are replaced: what waits for the disk, and what is left of an interrupted replacement."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.kit.files import write_atomically


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were synced."""
    found: list[int] = []
    real: Callable[[int], None] = os.fsync

    def sync(descriptor: int) -> None:
        found.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    return found


def test_a_file_and_its_name_survive_a_power_failure(tmp_path: Path, syncs: list[int]) -> None:
    write_atomically(tmp_path / "key", b"secret")
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert len(syncs) == 2  # the content, then the name


def test_a_record_of_running_processes_does_not_wait_for_the_disk(tmp_path: Path, syncs: list[int]) -> None:
    write_atomically(tmp_path / "pod.json", b"{}", survives_power_failure=False)
    assert (tmp_path / "pod.json").read_bytes() == b"{}"
    assert (tmp_path / "pod.json").stat().st_mode & 0o777 == 0o600
    assert not syncs


def test_an_interrupted_replacement_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.json"
    write_atomically(path, b"old", survives_power_failure=False)

    def refuse(source: object, target: object) -> None:
        raise OSError("interrupted")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="interrupted"):
        write_atomically(path, b"new", survives_power_failure=False)
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["pod.json"]
