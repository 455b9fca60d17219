"""Keeps Dex's configuration, with the users who may log in there, equal to the applied one."""

import asyncio
from collections.abc import Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.identity.dex import HEALTH_PATH, DexSettings, render_dex
from danube_pkg.core.identity.ports import AccessStore, DexRunner, UpstreamHttp
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever

RETRY_SECONDS = 30.0
"""After a full disk, for example: an operator who has freed space does not wait longer."""

HEALTH_SECONDS = 2.0
"""Dex answers within milliseconds, and a Dex that hangs must not delay the answer about the server's health."""

_log = EventLog("danube.dex")

HINT = "users cannot log in meanwhile, and the server restarts Dex by itself; Dex's messages are in the server's log"


class Dex:
    """`upstream` sends requests to the Dex that `runner` runs."""

    def __init__(
        self,
        settings: DexSettings,
        people: AccessStore,
        runner: DexRunner,
        upstream: UpstreamHttp,
        applied: AppliedConfiguration,
        timing: Timing,
    ) -> None:
        self.settings = settings
        self._people = people
        self._runner = runner
        self._upstream = upstream
        self._timing = timing
        self._wanted = asyncio.Event()
        applied.listen(self._wanted.set)
        self._problem = ""

    async def follow(self) -> None:
        """Configure Dex at the start and after each change of the configuration, until cancelled."""
        streak = Streak("dex-configure", self._timing, Pauses(RETRY_SECONDS, RETRY_SECONDS), log=_log.logger)
        await for_ever(self._configure, streak, self._timing, expected=(PlatformError, OSError), wake=self._wanted)

    async def _configure(self) -> None:
        try:
            await self._runner.apply(render_dex(self.settings, await self._people.list_people()))
        except (PlatformError, OSError) as error:
            self._problem = f"its file cannot be written: {error}"
            raise
        self._problem = ""

    def restart(self) -> None:
        """Start Dex again: it runs, and does not answer."""
        self._runner.restart()

    async def conditions(self) -> Sequence[Condition]:
        """Why users cannot log in at Dex, from its health check; empty where they can."""
        if self._problem:
            return (Condition("dex-not-configured", f"Dex has an older configuration: {self._problem}", HINT),)
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                status, _, _ = await self._upstream.forward("GET", HEALTH_PATH, {}, b"")
        except (PlatformError, TimeoutError) as error:
            if last_message := self._runner.last_failure():
                return (Condition("dex-not-running", f"Dex is not running: {last_message}", HINT),)
            cause = error.cause if isinstance(error, PlatformError) else f"no answer within {HEALTH_SECONDS:.0f} s"
            return (Condition("dex-not-answering", f"Dex does not answer: {cause}", HINT),)
        if status != 200:
            return (Condition("dex-not-answering", f"Dex reports that it is unhealthy (status {status})", HINT),)
        return ()
