"""Removes directory trees, whatever modes and owners their files have.

`python -m danube_pkg.kit.trees DIRECTORY` does it in a separate process.
"""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def remove_tree(top: Path, within: Sequence[str] = ()) -> None:
    """Remove a directory and everything below it; symbolic links are not followed. Raises OSError.

    No other process may change the tree meanwhile. Directories that their owner may not change get permissions first.
    within: a command prefix that runs a command with the permissions that this process lacks; tried after a
    PermissionError.
    """
    try:
        _remove(top)
    except PermissionError:
        if not within:
            raise
        _remove_within(top, within)


def _remove_within(top: Path, within: Sequence[str]) -> None:
    home = str(Path(__file__).absolute().parents[2])
    words = [*within, sys.executable, "-P", "-m", "danube_pkg.kit.trees", str(top)]
    done = subprocess.run(words, env={"PYTHONPATH": home}, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(done.stderr.strip()[-500:] or f"{words[0]} ended with {done.returncode}")


def _remove(top: Path) -> None:
    places = [str(top)]
    while places:
        place = places.pop()
        if os.lstat(place).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(place, 0o700)
        with os.scandir(place) as entries:
            places += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    shutil.rmtree(top)


if __name__ == "__main__":
    remove_tree(Path(sys.argv[1]))
