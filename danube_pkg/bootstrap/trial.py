"""A trial start: opens what a server needs, checks it, and accepts neither clients nor jobs.

An upgrade does this with the new program before that becomes the server: what fails here has changed no job, so the
former program can continue with the former database.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from danube_pkg.adapters.disk.probe import DirectoryDisk
from danube_pkg.adapters.keys.keys import KeyDirectory
from danube_pkg.adapters.store import SqliteServerState
from danube_pkg.bootstrap.engine import build_secrets
from danube_pkg.bootstrap.identity import build_audit
from danube_pkg.bootstrap.outside_secrets import open_outside_secrets
from danube_pkg.bootstrap.runtime import RuntimeCallbacks, open_runtime
from danube_pkg.bootstrap.serve import ServerOptions, runtime_options
from danube_pkg.bootstrap.store import load_applied, open_store
from danube_pkg.core.health.conditions import Condition
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.health.checks import ClockCheck, DatabaseCheck, DiskCheck, KeysCheck


async def try_start(options: ServerOptions) -> Sequence[Condition]:
    """What would keep a server of this program from its work; empty where nothing would. Raises as `open_server`."""
    data = Path(options.settings.server.data_dir)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(data))
        applied = await load_applied(store, options.settings.config_repo)
        places = await stack.enter_async_context(open_outside_secrets(options.settings.secret_sources))
        secrets = build_secrets(store, applied, options.known, audit=build_audit(store), places=places)
        callbacks = RuntimeCallbacks(registries=lambda: applied.config.registries, secret_of=secrets.read_for_server)
        runtime = await stack.enter_async_context(
            open_runtime(runtime_options(options, store, applied), data, callbacks)
        )
        state, directory = SqliteServerState(store.database), str(data)
        checks: Sequence[ConditionSource] = (
            DatabaseCheck(state, directory),
            DiskCheck(DirectoryDisk(data), directory),
            KeysCheck(KeyDirectory(data / "keys", store.keys.fingerprint)),
            ClockCheck(state, store.clock),
            *runtime.checks.values(),
        )
        return [condition for check in checks for condition in await check.conditions()]
