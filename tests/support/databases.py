"""Databases whose migrations have run, copied from one that each test process makes once: they take 40 ms."""

import asyncio
import functools
import os
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path

from danube_pkg.adapters.store import Database

_memory = Path("/dev/shm")
SCRATCH = _memory if os.access(_memory, os.W_OK) else Path(tempfile.gettempdir())
"""A directory for many small files; memory is faster than a disk for them."""


def open_new_database(path: Path) -> Database:
    """The database at this path, which is a new one where there is none."""
    prepare_database(path)
    return Database(path)


def connection_of(database: Database) -> sqlite3.Connection:
    """The connection that writes, for what tests change or watch behind the store."""
    return database._writing


def prepare_database(path: Path) -> None:
    """Put an empty database where there is none."""
    if not path.exists():
        shutil.copy(Path(_template().name) / "danube.db", path)


@functools.cache
def _template() -> "tempfile.TemporaryDirectory[str]":
    """It is removed when the process ends. A thread makes it, since the caller may have an event loop."""
    made = tempfile.TemporaryDirectory(prefix="danube-empty-", dir=SCRATCH)
    path = Path(made.name) / "danube.db"
    making = threading.Thread(target=lambda: asyncio.run(Database(path).close()), name="make an empty database")
    making.start()
    making.join()
    return made
