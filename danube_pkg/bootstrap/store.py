"""Opens a data directory: its lock, its keys and its database."""

import os
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.keys.signing import SigningKeys
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqliteJobs, SqlitePipelines
from danube_pkg.bootstrap.keys import DATABASE_NAME, check_not_emptied, open_keys, open_signing_keys
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.storage_errors import FAILING
from danube_pkg.core.store import JobStore
from danube_pkg.kit.boot_clock import read_clocks
from danube_pkg.kit.clock import Clock, SystemClock
from danube_pkg.kit.clock_samples import ClockSample
from danube_pkg.kit.directory_identity import identify, read_identity
from danube_pkg.kit.ids import SortableIds
from danube_pkg.kit.locks import DirectoryLock, Locked
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import Record

LOCK_FILE = "danube.lock"
"""Has the server's process id."""

_log = EventLog("danube.store")


WORK_BEGAN = "work-began"
"""The row of server_state that each start changes before it may change a job. An upgrade that is taken back compares
it: a database that a newer program has worked on is not replaced by an older copy."""

LOCK_CHECK_SECONDS = 2.0
"""Between two checks of the lock: two calls of stat."""


class Store(Record):
    """An open data directory.

    timing: the clock and the randomness of everything that waits or retries. new_id: makes ids that sort after every
    id in the database.
    """

    directory: Path
    timing: Timing
    keys: Keys
    signing: SigningKeys
    database: Database
    new_id: Callable[[], str]
    jobs: JobStore
    pipelines: PipelineStore
    lock: DirectoryLock | None = None
    """None for a store of tests, which has the directory for itself."""
    read_clocks: Callable[[], ClockSample] | None = None
    """Both clocks of the machine; None for a store of tests, whose clock is their own."""

    @property
    def clock(self) -> Clock:
        return self.timing.clock


_DIRECTORIES = ("run", "keys", "logs", "artifacts", "repos", "pods", "images", "dex")
"""What the parts of the server keep in the data directory."""


@asynccontextmanager
async def open_store(directory: Path) -> AsyncIterator[Store]:
    """Creates the directory where it is missing. Raises Conflict while another process has it open, Permanent."""
    with locked_data_directory(directory) as lock:
        clock = SystemClock()
        _identify(directory)
        check_not_emptied(directory)
        database = Database(directory / DATABASE_NAME)
        try:
            keys = await open_keys(directory, database)
            signing = await open_signing_keys(directory, database, clock)
            jobs = SqliteJobs(database)
            ids = SortableIds(clock.now, secrets.token_bytes)
            for newest in await jobs.list_jobs(JobFilter(limit=1)):
                ids.continue_after(newest.id)
            timing = Timing(clock, random.random)
            yield Store(
                directory, timing, keys, signing, database, ids, jobs, SqlitePipelines(database), lock, read_clocks
            )
        finally:
            await database.close()


async def load_applied(store: Store, repository: ConfigRepository) -> AppliedConfiguration:
    """The configuration that was applied last; its repository may be unreachable."""
    state, revision = await SqliteConfiguration(store.database, store.new_id).load_state()
    return AppliedConfiguration(state, revision, own_secrets=(repository.token_secret,))


@contextmanager
def locked_data_directory(directory: Path) -> Iterator[DirectoryLock]:
    """Creates and locks the directory: no other process uses it during the block. Raises Conflict, Permanent."""
    _make(directory)
    try:
        lock = DirectoryLock(directory / LOCK_FILE)
    except Locked as error:
        raise Conflict(
            "data-directory-locked",
            f"another process uses {directory}",
            cause=f"process {error.holder} holds its lock",
            hint=f"stop it first: kill {error.holder}, or name another directory: --data DIR",
        ) from error
    try:
        yield lock
    finally:
        lock.release()


async def wait_lost(store: Store) -> Conflict:
    """Returns, as an error, why the data directory is not this server's any more: from then on another server can open
    what is found at its path, and would have the same jobs and pods."""
    while True:
        await store.clock.sleep(LOCK_CHECK_SECONDS)
        if store.lock is not None and (problem := store.lock.problem()):
            return Conflict(
                "data-directory-replaced",
                f"{store.directory} was replaced while the server used it, so the server stops",
                cause=problem,
                hint=f"jobs keep running; put the directory back and start the server again: ls -ld {store.directory}",
            )


def _identify(directory: Path) -> None:
    """A copy gets an identity of its own here, so that it does not take the original's pods for its own."""
    before, now = read_identity(directory), identify(directory)
    if before is not None and before.id != now.id:
        _log.warning(
            "data-directory-copied",
            directory=str(directory),
            identity=now.id,
            copy_of=before.id,
            pods="those of the original are left alone; jobs that ran in them end here as pod-lost",
        )


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in _DIRECTORIES:
            if (directory / name).exists() and not (directory / name).is_dir():
                raise Permanent(
                    "data-directory-unusable",
                    f"{directory / name} is not a directory",
                    hint=f"move it away: mv {directory / name} {directory / name}.old",
                )
        for name in ("run", "run/grpc"):
            (directory / name).mkdir(exist_ok=True)
            (directory / name).chmod(0o755)  # whatever the umask: coordinators run as other users and need them
    except OSError as error:
        raise Permanent(
            "data-directory-unusable",
            f"the data directory {directory} cannot be used",
            cause=error.strerror or str(error),
            hint=f"check the disk: journalctl -k; findmnt -T {directory}"
            if error.errno in FAILING
            else f"create it: install -d -m 0700 -o {os.geteuid()} {directory}, or name another one: --data DIR",
        ) from error
