"""Copies an image for one container, on a machine without overlays."""

import errno
import os
import shutil
import stat
from pathlib import Path

from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.full_disk import is_full


def copy_image(lower: Path, target: Path, owner: int | None) -> int:
    """Copies the image's files for one container and returns their size in bytes. owner: as in `MountPoints`.

    Blocks for the disk. Raises StorageFull, Permanent.
    """
    try:
        return _copy_tree(lower, target, owner)
    except OSError as error:
        if is_full(error):
            raise StorageFull(
                "disk-full", "the disk is full: no room for a copy of the image", cause=str(error)
            ) from error
        raise Permanent(Reason.POD_FAILED, "the image could not be copied", cause=str(error)) from error


def _copy_tree(lower: Path, target: Path, owner: int | None) -> int:
    total, linked = 0, dict[tuple[int, int], Path]()
    directories: list[tuple[Path, os.stat_result]] = [(target, lower.lstat())]
    ahead = [(lower, target)]
    while ahead:
        source, made = ahead.pop()
        with os.scandir(source) as entries:
            for entry in entries:
                found, path = entry.stat(follow_symlinks=False), made / entry.name
                if stat.S_ISDIR(found.st_mode):
                    path.mkdir()
                    directories.append((path, found))
                    ahead.append((Path(entry.path), path))
                    continue
                if found.st_nlink > 1 and (first := linked.get((found.st_dev, found.st_ino))) is not None:
                    os.link(first, path, follow_symlinks=False)
                    continue
                linked[found.st_dev, found.st_ino] = path
                total += _copy_one(Path(entry.path), path, found, owner)
    for path, found in reversed(directories):
        _copy_attributes(path, found, owner)
    return total


def _copy_one(source: Path, path: Path, found: os.stat_result, owner: int | None) -> int:
    if stat.S_ISLNK(found.st_mode):
        path.symlink_to(source.readlink())
        if owner is not None:
            os.chown(path, owner + found.st_uid, owner + found.st_gid, follow_symlinks=False)
        return 0
    if stat.S_ISFIFO(found.st_mode):
        os.mkfifo(path)
    elif stat.S_ISREG(found.st_mode):
        shutil.copyfile(source, path, follow_symlinks=False)
    else:  # reading a device might never end
        raise OSError(errno.EINVAL, "this kind of file is not supported in an image", str(source))
    _copy_attributes(path, found, owner)
    return found.st_blocks * 512


def _copy_attributes(path: Path, found: os.stat_result, owner: int | None) -> None:
    if owner is not None:
        os.chown(path, owner + found.st_uid, owner + found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
