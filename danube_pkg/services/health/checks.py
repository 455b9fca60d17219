"""The checks of single subsystems: each observes, and leaves the judgement to `core.health.readiness`."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.ports import Disk, KeyFiles, WritableStore
from danube_pkg.core.health.readiness import CLOCK_ACCEPTED_SECONDS, of_clock, of_configuration_age, of_disk_state
from danube_pkg.core.jobs.ports import ServerState
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog
from danube_pkg.services.health.conditions import ConditionSource

CHECK_SECONDS = 5.0
"""How long a result counts: the endpoint needs no login, and some checks write to the disk."""

ANSWER_SECONDS = 10.0
"""A disk that does not answer in this time is broken; a busy one does."""

PROBE_NAME = "write-probe"
"""The name of the row that a check writes."""

CLOCK_NAME = "clock"
"""The name of the row with the time of the last check."""

_log = EventLog("danube.health")


class Cached:
    """The result of a check, which counts for CHECK_SECONDS; the check runs once at a time."""

    def __init__(self, check: ConditionSource, clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._checked_at = float("-inf")
        self._found: Sequence[Condition] = ()
        self._lock = asyncio.Lock()

    async def conditions(self) -> Sequence[Condition]:
        """The last result, or a new one."""
        async with self._lock:
            if self._clock.monotonic() >= self._checked_at + CHECK_SECONDS:
                self._found = await self._check.conditions()
                self._checked_at = self._clock.monotonic()
            return self._found


class DiskCheck:
    """Room, inodes and a real write on the data directory's file system."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory

    async def conditions(self) -> Sequence[Condition]:
        """Why the disk is not usable."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = of_disk_state(await self._disk.state(), self._directory)
        except (OSError, TimeoutError) as error:
            cause = str(error) or f"no answer within {ANSWER_SECONDS:.0f} s"
            hint = f"check the disk of {self._directory}: journalctl -k"
            found = Condition("disk-unwritable", f"the disk of {self._directory} does not answer: {cause}", hint)
        return (found,) if found is not None else ()


class DatabaseCheck:
    """The database, written to and not only read."""

    def __init__(self, database: WritableStore, directory: str) -> None:
        self._database = database
        self._directory = directory

    async def conditions(self) -> Sequence[Condition]:
        """Why the database does not store a row."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._database.remember(PROBE_NAME, "")
        except PlatformError as error:
            return (Condition("database-unwritable", str(error), error.hint),)
        except TimeoutError:
            what = f"the database did not write a row within {ANSWER_SECONDS:.0f} s"
            return (Condition("database-unwritable", what, f"check the disk of {self._directory}: journalctl -k"),)
        return ()


class SyncState(Protocol):
    """The configuration sync, as far as readiness depends on it."""

    @property
    def status(self) -> ConfigurationStatus: ...

    @property
    def interval_seconds(self) -> float: ...


class ConfigurationCheck:
    """A configuration is applied, and it could be read lately."""

    def __init__(self, configuration: SyncState, clock: Clock) -> None:
        self._configuration = configuration
        self._clock = clock
        self._started_at = clock.now()

    async def conditions(self) -> Sequence[Condition]:
        """Why the configuration cannot be relied on."""
        status, interval = self._configuration.status, self._configuration.interval_seconds
        found = of_configuration_age(status, self._clock.now(), self._started_at, interval)
        return (found,) if found is not None else ()


class KeysCheck:
    """The key files are those with which the server was started."""

    def __init__(self, keys: KeyFiles) -> None:
        self._keys = keys

    async def conditions(self) -> Sequence[Condition]:
        """Why the next start would fail, or secrets could not be decrypted after it."""
        try:
            await asyncio.to_thread(self._keys.check)
        except PlatformError as error:
            return (Condition("keys-unusable", str(error), error.hint),)
        except OSError as error:
            return (Condition("keys-unusable", f"the keys cannot be read: {error}", "check the disk: journalctl -k"),)
        return ()


class ClockCheck:
    """The clock is not behind what the server has stored. state: has the time of the last check, over restarts."""

    def __init__(self, state: ServerState, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._behind_since: float | None = None

    async def conditions(self) -> Sequence[Condition]:
        """Whether the clock runs behind."""
        now = self._clock.now()
        try:
            stored = await self._state.recall(CLOCK_NAME)
            found = of_clock(now, float(stored[0]) if stored is not None else 0.0)
            if found is not None and not self._is_accepted():
                return (found,)
            self._behind_since = None
            await self._state.remember(CLOCK_NAME, str(now))
        except PlatformError as error:
            _log.debug("clock-not-checked", cause=str(error))  # the database's own check reports it
        return ()

    def _is_accepted(self) -> bool:
        at = self._clock.monotonic()
        if self._behind_since is None:
            self._behind_since = at
        return at - self._behind_since >= CLOCK_ACCEPTED_SECONDS
