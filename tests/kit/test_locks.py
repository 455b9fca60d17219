"""The lock of a directory: one holder, also when its file was removed; the holder learns that it protects no longer."""

import os
from pathlib import Path

import pytest

from danube_pkg.kit.locks import DirectoryLock, Locked


def test_a_second_holder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path / "lock")
    with pytest.raises(Locked) as refused:
        DirectoryLock(tmp_path / "lock")
    assert refused.value.holder == os.getpid()
    first.release()
    DirectoryLock(tmp_path / "lock").release()


def test_a_directory_whose_lock_file_was_removed_is_still_locked(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path / "lock")
    assert first.problem() == ""
    (tmp_path / "lock").unlink()
    with pytest.raises(Locked):
        DirectoryLock(tmp_path / "lock")
    assert first.problem() == f"{tmp_path}/lock is not the one that this process opened"
    first.release()


def test_a_removed_file_is_noticed(tmp_path: Path) -> None:
    held = DirectoryLock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    assert held.problem() == f"{tmp_path}/lock: No such file or directory"
    held.release()


def test_a_replaced_directory_is_noticed_and_can_be_locked(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    held = DirectoryLock(tmp_path / "data" / "lock")
    (tmp_path / "data").rename(tmp_path / "moved")
    assert held.problem() == f"{tmp_path}/data: No such file or directory"
    (tmp_path / "data").mkdir()
    other = DirectoryLock(tmp_path / "data" / "lock")
    assert held.problem() == f"{tmp_path}/data is not the one that this process opened"
    assert other.problem() == ""
    other.release()
    held.release()
