"""The directories of `danube run`: each has the log and the artifacts of one run. The last few are kept, and those that
were started with --keep until they are removed with --clean."""

import asyncio
import os
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from danube_pkg.bootstrap.run import remove_left_pods
from danube_pkg.bootstrap.store import LOCK_FILE
from danube_pkg.core.errors import Conflict
from danube_pkg.kit.ids import time_of
from danube_pkg.kit.locks import DirectoryLock, Locked
from danube_pkg.kit.records import Record
from danube_pkg.kit.trees import remove_tree

KEPT_RUNS = 10
"""Enough to compare the runs of a day; artifacts take space on the user's disk."""

CACHE_DAYS = 30
"""Longer than a holiday; downloads are made again after it."""

KEEP_FILE = "keep"
"""An empty file in the directory of a run that was started with --keep."""


class KeptRun(Record):
    """A run's directory. started_at: as ISO 8601 in UTC."""

    directory: Path
    started_at: str
    size_bytes: int
    keep: bool


def runs_directory() -> Path:
    """`danube/runs` below XDG_STATE_HOME (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return made(Path(base).absolute() / "danube" / "runs")


def caches_of(tree: Path) -> Path:
    """The directory with the caches of a working tree, in the user's cache."""
    return _caches() / sha256(str(tree.resolve()).encode()).hexdigest()[:16]


def tidy_caches(*, everything: bool = False) -> int:
    """Remove the caches of working trees that no run has used for CACHE_DAYS: of how many. Those of a run that is still
    running stay. everything: remove all others."""
    removed = 0
    for directory in sorted(_caches().glob("*")):
        lock = directory / LOCK_FILE
        is_old = lock.is_file() and time.time() - lock.stat().st_mtime > CACHE_DAYS * 86400
        if not (everything or is_old) or not directory.is_dir():
            continue
        try:
            held = DirectoryLock(lock)
        except Locked:
            continue
        remove_tree(directory)
        held.release()
        removed += 1
    return removed


def _caches() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "danube" / "caches"


def made(directory: Path) -> Path:
    """The directory, which only this user can read."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def list_runs(runs: Path) -> list[KeptRun]:
    """What is kept, oldest first."""
    return [
        KeptRun(
            path,
            datetime.fromtimestamp(time_of(path.name), UTC).isoformat(timespec="seconds"),
            _size(path),
            (path / KEEP_FILE).exists(),
        )
        for path in _runs(runs)
    ]


async def tidy(runs: Path, *, everything: bool = False) -> int:
    """Remove pods of killed runs, and all but the last few runs: how many were removed. A run that is still running
    holds its lock and stays. everything: remove each run."""
    removed = 0
    left = [path for path in _runs(runs) if everything or not (path / KEEP_FILE).exists()]
    surplus = len(left) if everything else len(left) - KEPT_RUNS
    for number, path in enumerate(left):
        try:
            await remove_left_pods(path)
        except Conflict:
            continue
        if number < surplus:
            await asyncio.to_thread(remove_tree, path)
            removed += 1
    return removed


def _runs(runs: Path) -> list[Path]:
    return sorted(path for path in runs.iterdir() if path.is_dir())


def _size(path: Path) -> int:
    """The bytes of its files; links are not followed."""
    return sum(
        os.lstat(os.path.join(directory, name)).st_size for directory, _, names in os.walk(path) for name in names
    )
