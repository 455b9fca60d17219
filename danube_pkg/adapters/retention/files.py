"""The files of jobs below a data directory: `logs/JOB.{log,idx,egress}` and `artifacts/JOB/`."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from danube_pkg.core.retention.plan import FileKind, JobFiles, Removal
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.trees import remove_tree

LOG_SUFFIXES = (".log", ".idx", ".egress")

_log = EventLog("danube.retention")


class JobFileDirectories:
    """`core.retention.ports.StoredFiles`."""

    def __init__(self, data: Path) -> None:
        self._logs = data / "logs"
        self._artifacts = data / "artifacts"

    async def list_files(self) -> Sequence[JobFiles]:
        return await asyncio.to_thread(lambda: [*_log_files(self._logs), *_artifact_files(self._artifacts)])

    async def remove(self, removals: Sequence[Removal]) -> Sequence[Removal]:
        return await asyncio.to_thread(lambda: [one for one in removals if not self._remove(one)])

    def _remove(self, removal: Removal) -> bool:
        try:
            if removal.kind is FileKind.ARTIFACTS:
                remove_tree(self._artifacts / removal.job_id)
            else:
                for suffix in LOG_SUFFIXES:
                    (self._logs / f"{removal.job_id}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            _log.warning("files-not-removed", job=removal.job_id, kind=removal.kind, cause=str(error))
            return False
        return True


def _log_files(directory: Path) -> Iterator[JobFiles]:
    sizes: dict[str, int] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            stem, dot, suffix = entry.name.rpartition(".")
            if stem and dot + suffix in LOG_SUFFIXES:
                sizes[stem] = sizes.get(stem, 0) + _size(entry)
    for job_id, size in sizes.items():
        yield JobFiles(job_id, FileKind.LOGS, size)


def _artifact_files(directory: Path) -> Iterator[JobFiles]:
    with os.scandir(directory) as jobs:
        for job in jobs:
            if job.name.startswith(".") or not job.is_dir(follow_symlinks=False):
                continue
            with os.scandir(job.path) as entries:
                yield JobFiles(job.name, FileKind.ARTIFACTS, sum(_size(entry) for entry in entries))


def _size(entry: os.DirEntry[str]) -> int:
    """The size of a file; 0 for one that is removed meanwhile."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
