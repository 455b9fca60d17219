"""The conditions of the whole server, collected from the parts that know them, and whether it can do its work."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.ports import Disk, WritableStore
from danube_pkg.core.health.readiness import of_configuration_age, of_disk_state
from danube_pkg.kit.clock import Clock

CHECK_SECONDS = 5.0
"""How long a result counts: the endpoint needs no login, and each check writes to the disk."""

ANSWER_SECONDS = 10.0
"""A disk that does not answer in this time is broken; a busy one does."""

PROBE_NAME = "write-probe"
"""The name of the row that a check writes."""


class ConditionSource(Protocol):
    """A part of the server that may have something to report."""

    async def conditions(self) -> Sequence[Condition]:
        """What does not work at this moment. It must not raise."""
        ...


class SyncState(Protocol):
    """The configuration sync, as far as readiness depends on it."""

    @property
    def status(self) -> ConfigurationStatus: ...

    @property
    def interval_seconds(self) -> float: ...


class ServerConditions:
    """The conditions of all sources. sources: in the order in which their conditions are shown."""

    def __init__(self, *sources: ConditionSource) -> None:
        self._sources = sources

    async def conditions(self) -> Sequence[Condition]:
        """The conditions of all sources, in their order."""
        return [condition for source in self._sources for condition in await source.conditions()]


class ServerReadiness:
    """Whether the server can do its work: database and disk are written to, the configuration is current, and what runs
    beside it answers. others: the parts whose conditions keep the server from being ready."""

    def __init__(
        self,
        database: WritableStore,
        disk: Disk,
        directory: str,
        configuration: SyncState,
        clock: Clock,
        *others: ConditionSource,
    ) -> None:
        self._database = database
        self._disk = disk
        self._directory = directory
        self._configuration = configuration
        self._clock = clock
        self._others = others
        self._started_at = clock.now()
        self._checked_at = float("-inf")
        self._found: Sequence[Condition] = ()
        self._lock = asyncio.Lock()

    async def conditions(self) -> Sequence[Condition]:
        """Why it is not ready; empty where it is."""
        async with self._lock:
            if self._clock.monotonic() >= self._checked_at + CHECK_SECONDS:
                self._found = await self._check()
                self._checked_at = self._clock.monotonic()
        status, interval = self._configuration.status, self._configuration.interval_seconds
        age = of_configuration_age(status, self._clock.now(), self._started_at, interval)
        others = [condition for one in self._others for condition in await one.conditions()]
        return [*self._found, *([age] if age is not None else []), *others]

    async def _check(self) -> Sequence[Condition]:
        found = [await self._check_disk(), await self._check_database()]
        return [one for one in found if one is not None]

    async def _check_disk(self) -> Condition | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return of_disk_state(await self._disk.state(), self._directory)
        except (OSError, TimeoutError) as error:
            cause = str(error) or f"no answer within {ANSWER_SECONDS:.0f} s"
            hint = f"check the disk of {self._directory}: journalctl -k"
            return Condition("disk-unwritable", f"the disk of {self._directory} does not answer: {cause}", hint)

    async def _check_database(self) -> Condition | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._database.remember(PROBE_NAME, "")
        except PlatformError as error:
            return Condition("database-unwritable", str(error), error.hint)
        except TimeoutError:
            what = f"the database did not write a row within {ANSWER_SECONDS:.0f} s"
            return Condition("database-unwritable", what, f"check the disk of {self._directory}: journalctl -k")
        return None
