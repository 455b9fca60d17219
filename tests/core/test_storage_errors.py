"""A disk that is full, read-only or broken is named as what it is."""

import errno
import os
from pathlib import Path

import pytest

from danube_pkg.core.errors import StorageFailing, StorageFull, StorageUnwritable
from danube_pkg.core.storage_errors import is_read_only, storage_error


def translated(number: int) -> StorageUnwritable | None:
    return storage_error(OSError(number, os.strerror(number)), "log", "j.log", "/data/logs", then="the job waits")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_says_what_is_lacking(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    error = translated(number)
    assert isinstance(error, StorageFull)
    assert "no space left" in str(error)
    assert "(df /data/logs)" in error.hint
    no_inodes = os.statvfs_result((4096, 4096, 100, 50, 50, 100, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: no_inodes)
    error = translated(number)
    assert error is not None
    assert "no inodes left" in str(error)
    assert "(df -i /data/logs)" in error.hint


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EPERM])
def test_a_disk_that_fails_is_not_called_full(number: int) -> None:
    error = translated(number)
    assert isinstance(error, StorageFailing)
    assert (error.reference, "space" in str(error)) == ("log-disk-failing", False)
    assert os.strerror(number) in str(error)
    assert "journalctl -k" in error.hint


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOENT, errno.EACCES])
def test_what_is_not_the_disks_error_stays_what_it_is(number: int) -> None:
    assert translated(number) is None


def test_a_writable_disk_is_not_read_only(tmp_path: Path) -> None:
    assert not is_read_only(str(tmp_path))
