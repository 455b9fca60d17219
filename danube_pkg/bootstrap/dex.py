"""The part of the composition root that runs Dex, where `danube.toml` names one."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.dex.process import ChildDex, DexFiles
from danube_pkg.adapters.dex.upstream import HttpUpstream
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.runtimes.sandbox import find_program
from danube_pkg.adapters.store import Database, SqliteAccess
from danube_pkg.core.configuration.settings import DexProgram
from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.tasks import TaskOwner
from danube_pkg.services.identity.dex import Dex

_log = logging.getLogger("danube.dex")


@asynccontextmanager
async def open_dex(
    program: DexProgram, external_url: str, data: Path, keys: Keys, database: Database, clock: Clock
) -> AsyncIterator[Dex | None]:
    """Running while the block is open; None where no program is named."""
    if not program.program:
        yield None
        return
    settings = DexSettings(
        external_url,
        keys.dex_client_secret,
        listen=program.listen,
        telemetry=program.telemetry,
        storage=program.storage or str(data / "dex" / "dex.db"),
    )
    async with AsyncExitStack() as stack:
        upstream = HttpUpstream(settings.url)
        stack.push_async_callback(upstream.close)
        runner = ChildDex(DexFiles(Path(program.program), find_program("danube-ns"), data / "dex"), clock)
        stack.push_async_callback(runner.close)
        dex = Dex(settings, SqliteAccess(database), runner, upstream)
        owner = TaskOwner(_task_failed)
        stack.push_async_callback(owner.close)
        owner.start("dex", dex.follow())
        yield dex


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})
