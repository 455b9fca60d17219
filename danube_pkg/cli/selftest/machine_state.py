"""What a server and its jobs use of a machine at one moment, to be compared with another."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.leftovers import leftovers_by_kind
from danube_pkg.bootstrap.keys import DATABASE_NAME
from danube_pkg.cli.selftest.faults import children_of, egress_proxies
from danube_pkg.kit.process_figures import descriptors_of, memory_mb
from danube_pkg.kit.records import Record

MAX_GROWTH_MB = 30.0
"""What a server's memory may grow by after its first jobs: caches of bounded sizes fill."""

MAX_MORE_FILES = 8
"""Connections that have not been closed for idleness yet."""


class MachineState(Record):
    """jobs: how many have ended. memory_mb, files: of the server's process. workers: its children. proxies: running
    egress proxies. of_pods: how many exist of what belongs to pods, by kind: processes, mounts, control groups, loop
    devices, ranges of user ids, files. database_bytes: with its write-ahead log. data_bytes: of all files of the data
    directory, on the disk. rows: of the database, by table."""

    jobs: int
    seconds: float
    memory_mb: float
    files: int
    workers: int
    proxies: int
    of_pods: Mapping[str, int]
    database_bytes: int
    data_bytes: int
    rows: Mapping[str, int]


def machine_state(data: Path, server: int, jobs: int, began: float) -> MachineState:
    """server: its process id. began: `time.monotonic()` at the beginning."""
    database = data / DATABASE_NAME
    return MachineState(
        jobs,
        round(time.monotonic() - began, 1),
        round(memory_mb(server), 1),
        descriptors_of(server),
        len(children_of(server)),
        len(egress_proxies(data)),
        {kind: len(found) for kind, found in leftovers_by_kind(data).items()},
        sum(file.stat().st_size for file in data.glob(f"{DATABASE_NAME}*")),
        disk_bytes(data),
        rows_of(database),
    )


def disk_bytes(directory: Path) -> int:
    """What the files of a directory take on its file system. Files of pods are removed meanwhile."""
    found = 0
    for below, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found += os.lstat(os.path.join(below, name)).st_blocks * 512
    return found


def rows_of(database: Path) -> Mapping[str, int]:
    """The rows of each table that has some."""
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in tables}
    return {name: count for name, count in sorted(counts.items()) if count}


def growth_problems(before: MachineState, after: MachineState) -> list[str]:
    """What is more after all jobs than after the first ones, though it should not depend on their number."""
    found = []
    if after.memory_mb > before.memory_mb + MAX_GROWTH_MB:
        found.append(f"the server's memory grew from {before.memory_mb:.0f} to {after.memory_mb:.0f} MB")
    if after.files > before.files + MAX_MORE_FILES:
        found.append(f"the server's open files grew from {before.files} to {after.files}")
    for name, old, new in (
        ("worker processes", before.workers, after.workers),
        ("egress proxies", before.proxies, after.proxies),
        *((f"{kind}: what is left of pods", 0, count) for kind, count in after.of_pods.items()),
    ):
        if new > old:
            found.append(f"{name} grew from {old} to {new}")
    return found


def state_rows(states: Sequence[MachineState]) -> Sequence[Sequence[str]]:
    """A table with a column for each state; the rows of the database come last, by table."""
    mib = 1024**2
    figures: Mapping[str, Callable[[MachineState], object]] = {
        "jobs that have ended": lambda one: one.jobs,
        "seconds": lambda one: f"{one.seconds:.0f}",
        "memory of the server, MB": lambda one: f"{one.memory_mb:.1f}",
        "its open files": lambda one: one.files,
        "its worker processes": lambda one: one.workers,
        "egress proxies": lambda one: one.proxies,
        "database, MiB": lambda one: f"{one.database_bytes / mib:.1f}",
        "data directory, MiB": lambda one: f"{one.data_bytes / mib:.1f}",
        "rows of the database": lambda one: sum(one.rows.values()),
    }
    kinds = dict.fromkeys(kind for one in states for kind in one.of_pods)
    tables = sorted({table for one in states for table in one.rows})
    return [
        *([name, *(str(figure(one)) for one in states)] for name, figure in figures.items()),
        *([f"of pods: {kind}", *(str(one.of_pods.get(kind, 0)) for one in states)] for kind in kinds),
        *([f"rows of {table}", *(str(one.rows.get(table, 0)) for one in states)] for table in tables),
    ]
