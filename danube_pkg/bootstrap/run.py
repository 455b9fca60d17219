"""Opens the parts of `danube run`: an engine for one job, without a configuration repository and without HTTP."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

from danube_pkg.adapters.blobs.content import ContentDirectory
from danube_pkg.adapters.store import Database, SqliteCaches
from danube_pkg.bootstrap.engine import EngineParts, build_masks, build_secrets, open_engine
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.runtime import RuntimeCallbacks, RuntimeOptions, open_runtime, remove_pods
from danube_pkg.bootstrap.store import LOCK_FILE, Store, locked_data_directory, open_store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.egress_settings import EgressSection
from danube_pkg.core.configuration.settings import RuntimeSettings
from danube_pkg.core.configuration.state import State
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.kit.locks import DirectoryLock, Locked
from danube_pkg.kit.records import HIDDEN, Record, field
from danube_pkg.services.caches import CacheStorage
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.provenance.statements import StatementContext
from danube_pkg.services.secrets import KnownValues

ONE_JOB = State(ConfigSpec(max_concurrent_jobs=1), {}, {}, {})
"""The configuration of a run."""


class RunOptions(Record):
    """data: the absolute directory of this run; sources: makes the sources, given a directory for temporary files.

    known: gets each secret value, to mask it in logs; secrets: values of this run, in memory only. host_paths: what
    the image `host` shows beside the machine's programs.
    """

    data: Path
    known: KnownValues
    images: ImageOptions
    sources: Callable[[Path], Sources]
    secrets: Annotated[Mapping[str, bytes], HIDDEN] = field(default_factory=dict)
    host_paths: tuple[Path, ...] = ()
    caches: Path | None = None
    """The directory with the caches of the working tree; None for none."""


class RunParts(Record):
    """A running engine with a data directory of its own."""

    store: Store
    jobs: EngineParts
    artifact_directory: Path
    caches_problem: str
    """Why the run has no caches of earlier ones; "" where it has them."""


@asynccontextmanager
async def open_run(options: RunOptions) -> AsyncIterator[RunParts]:
    """Runs until the block is left. Raises Conflict, Permanent."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(options.data))
        applied = AppliedConfiguration(ONE_JOB)
        secrets = build_secrets(store, applied, options.known, overrides=options.secrets)
        masks = build_masks(store, secrets)
        wanted = RuntimeOptions(
            options.images, RuntimeSettings(host_paths=tuple(map(str, options.host_paths))), EgressSection()
        )
        callbacks = RuntimeCallbacks(masks.host_forms)
        runtime = await stack.enter_async_context(open_runtime(wanted, store.directory, callbacks))
        observer = JobObserver(applied, store.clock)
        sources = options.sources(store.directory / "repos")
        local = StatementContext(is_local=True)
        caches, problem = await stack.enter_async_context(_open_caches(options.caches))
        opening = open_engine(store, secrets, masks, runtime, sources, observer, context=local, cache_storage=caches)
        engine = await stack.enter_async_context(opening)
        yield RunParts(store, engine, store.directory / "artifacts", problem)


@asynccontextmanager
async def _open_caches(directory: Path | None) -> AsyncIterator[tuple[CacheStorage | None, str]]:
    """The caches of one working tree; None without a directory, and with a problem where they cannot be used."""
    async with AsyncExitStack() as stack:
        storage, problem = None, ""
        try:
            if directory is not None:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.callback(DirectoryLock(directory / LOCK_FILE).release)
                database = Database(directory / "caches.db")
                stack.push_async_callback(database.close)
                content = ContentDirectory(directory / "content", "cache")
                storage = CacheStorage(SqliteCaches(database), content, is_local=True)
        except Locked as error:
            problem = f"another run of this directory uses its caches (process {error.holder})"
        except (PlatformError, OSError) as error:
            problem = f"the caches in {directory} cannot be used: {error}"
        yield storage, problem


async def remove_left_pods(data: Path) -> None:
    """Remove the pods of a run that was killed. Raises Conflict while it is running."""
    with locked_data_directory(data):
        await remove_pods(data)
