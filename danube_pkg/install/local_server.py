"""`ports.InstalledServer`: the server of a data directory on this machine, and the programs that work on it."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from danube_pkg.adapters.store.copies import check_integrity, copy_database, schema_of, stored_value
from danube_pkg.bootstrap.keys import DATABASE_NAME
from danube_pkg.bootstrap.runtime import remove_pods
from danube_pkg.bootstrap.store import WORK_BEGAN, locked_data_directory
from danube_pkg.core.errors import PlatformError, Unavailable
from danube_pkg.install.commands import require_success, run_machine_command
from danube_pkg.install.units import SETTINGS
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.files import sync_directory
from danube_pkg.ops.backup import BackupOptions, back_up

ANSWER_SECONDS = 120.0
"""A first start makes keys and a database, and unpacks the program: seconds, but a busy machine needs more."""

POLL_SECONDS = 0.2

AskOf = Callable[[str], Callable[[str], Any]]
"""By a data directory: the answer of its server to a GET; raises PlatformError."""


class LocalServer:
    """The server that a unit of this machine runs."""

    def __init__(self, ask_of: AskOf) -> None:
        self._ask_of = ask_of

    def problem(self, data: str) -> str:
        try:
            self._ask_of(data)("/health")
        except PlatformError as error:
            return str(error)
        except OSError as error:  # no socket, or not this user's
            return str(error)
        return ""

    def wait_answer(self, data: str) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while problem := self.problem(data):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "server-not-answering",
                    f"the server has not answered for {ANSWER_SECONDS:.0f} s",
                    cause=problem,
                    hint="read its log: journalctl -u danube; then continue: danube install",
                )
            time.sleep(POLL_SECONDS)

    def remove_pods(self, data: str) -> None:
        directory = Path(data)
        if (directory / "pods").is_dir():
            with locked_data_directory(directory):
                asyncio.run(remove_pods(directory))

    def work_began(self, data: str) -> str:
        return stored_value(_database(data), WORK_BEGAN)

    def schema(self, data: str) -> int:
        return schema_of(_database(data))

    def back_up(self, data: str, target: str) -> None:
        back_up(Path(data), Path(target), BackupOptions(), SystemClock())

    def copy_database(self, data: str, target: str) -> None:
        copy_database(_database(data), Path(target))
        check_integrity(Path(target))

    def restore_database(self, data: str, source: str, schema: int) -> None:
        """The copy goes beside the database first, so that the replacement is one rename. What a migration left of a
        write-ahead log belongs to the database that is replaced."""
        database = _database(data)
        if database.is_file() and schema_of(database) == schema:
            return
        owner = database.parent.stat()
        with locked_data_directory(database.parent):
            part = database.with_name(f".{database.name}.back")
            copy_database(Path(source), part)
            os.chown(part, owner.st_uid, owner.st_gid)
            for suffix in ("-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            part.replace(database)
            sync_directory(database.parent)

    def version(self, program: str) -> str:
        return require_success(program, "--version")

    def migrate(self, program: str, data: str) -> None:
        require_success(program, "migrate", "--data", data, user=_owner(data))

    def is_migrated(self, program: str, data: str) -> bool:
        return run_machine_command(program, "migrate", "--check", "--data", data, user=_owner(data)).code == 0

    def trial_problem(self, program: str, data: str) -> str:
        words = (program, "serve", "--trial", "--config", SETTINGS, "--data", data)
        done = run_machine_command(*words, user=_owner(data))
        return "" if done.code == 0 else done.printed or f"it ended with exit code {done.code}"


def _owner(data: str) -> tuple[int, int]:
    """The server's user, who must be able to use what a program leaves in the data directory."""
    state = Path(data).stat()
    return state.st_uid, state.st_gid


def _database(data: str) -> Path:
    return Path(data) / DATABASE_NAME
