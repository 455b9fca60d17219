"""Removing whole directory trees, whatever modes they have been left with."""

import os
import shutil
import stat
from pathlib import Path


def remove_tree(top: Path) -> None:
    """Everything below and the directory itself; symbolic links are never followed. Raises OSError.

    Nobody else may change the tree meanwhile. A directory without its owner's rights gets them first, since not even the owner
    can empty it otherwise.
    """
    places = [str(top)]
    while places:
        place = places.pop()
        if os.lstat(place).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(place, 0o700)
        with os.scandir(place) as entries:
            places += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    shutil.rmtree(top)
