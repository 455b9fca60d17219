"""Dex in step with the configuration: whoever may log in there is who the applied one has."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.identity.dex import HEALTH_PATH, DexSettings, render_dex
from danube_pkg.core.identity.ports import AccessStore, DexRunner, UpstreamHttp

RETRY_SECONDS = 30.0
"""After a full disk, say: somebody who makes room does not wait longer."""

HEALTH_SECONDS = 2.0
"""Dex answers within milliseconds; whoever asks for the server's own health must not wait for a Dex that hangs."""

_log = logging.getLogger("danube.dex")

HINT = "people cannot log in meanwhile, and the server begins it again by itself: its log has what Dex says"


class Dex:
    """`upstream` reaches the Dex that `runner` runs."""

    def __init__(
        self,
        settings: DexSettings,
        people: AccessStore,
        runner: DexRunner,
        upstream: UpstreamHttp,
        applied: AppliedConfiguration,
    ) -> None:
        self.settings = settings
        self._people = people
        self._runner = runner
        self._upstream = upstream
        self._wanted = asyncio.Event()
        applied.listen(self._wanted.set)
        self._trouble = ""

    async def follow(self) -> None:
        """Keep Dex's people those of the configuration, for ever."""
        while True:
            self._wanted.clear()
            try:
                await self._runner.apply(render_dex(self.settings, await self._people.list_people()))
                self._trouble, pause = "", None
            except (PlatformError, OSError) as error:
                self._trouble, pause = f"its file cannot be written: {error}", RETRY_SECONDS
                _log.error("dex-not-configured", extra={"fields": {"cause": str(error)}})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def conditions(self) -> Sequence[Condition]:
        """Whether people can log in; Dex is asked for it."""
        if self._trouble:
            return (Condition("dex-not-configured", f"Dex has an older configuration: {self._trouble}", HINT),)
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                status, _, _ = await self._upstream.forward("GET", HEALTH_PATH, {}, b"")
        except (PlatformError, TimeoutError) as error:
            if last_failure := self._runner.last_failure():
                return (Condition("dex-not-running", f"Dex does not run: {last_failure}", HINT),)
            cause = error.cause if isinstance(error, PlatformError) else f"nothing came within {HEALTH_SECONDS:.0f} s"
            return (Condition("dex-not-answering", f"Dex does not answer: {cause}", HINT),)
        if status != 200:
            return (Condition("dex-not-answering", f"Dex says of itself that it cannot work (status {status})", HINT),)
        return ()
