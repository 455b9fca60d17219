"""What a server and its jobs use of a machine at one moment, to be compared with another."""

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.adapters.runtimes.sandbox.leftovers import leftovers
from danube_pkg.bootstrap.keys import DATABASE_NAME
from danube_pkg.cli.selftest.faults import children_of, egress_proxies
from danube_pkg.kit.process_figures import descriptors_of, memory_mb
from danube_pkg.kit.records import Record

MAX_GROWTH_MB = 60.0
"""What a server's memory may grow by after its first jobs: caches of bounded sizes fill."""

MAX_MORE_FILES = 8
"""Connections that have not been closed for idleness yet."""


class MachineState(Record):
    """jobs: how many have ended. memory_mb, files: of the server's process. workers: its children. proxies: running
    egress proxies. left: what exists of pods: processes, mounts, control groups, loop devices, ranges of user ids.
    database_bytes: with its write-ahead log. rows: of the database, by table."""

    jobs: int
    seconds: float
    memory_mb: float
    files: int
    workers: int
    proxies: int
    left: int
    database_bytes: int
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
        len(leftovers(data)),
        sum(file.stat().st_size for file in data.glob(f"{DATABASE_NAME}*")),
        rows_of(database),
    )


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
        ("remains of pods", before.left, after.left),
    ):
        if new > old:
            found.append(f"{name} grew from {old} to {new}")
    return found
