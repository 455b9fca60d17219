"""The composition root: builds the objects, joins ports to adapters, owns the tasks.

`danube serve` and `danube run` build the same house; they differ only in where the pipelines and the code come from.
"""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from danube_pkg.adapters.blobs.directory import ArtifactDirectory
from danube_pkg.adapters.egress import EgressProxies, EgressSettings, FileLedgers
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.runtimes.sandbox import (
    PROXY_USER,
    SandboxRuntime,
    SandboxSettings,
    coordinator_command,
    coordinator_program,
    find_cgroups,
    find_program,
    has_ids_for_pods,
)
from danube_pkg.adapters.store import (
    Database,
    SqliteArtifacts,
    SqliteAudit,
    SqliteJobs,
    SqlitePipelines,
    SqliteSecrets,
    SqliteServerState,
)
from danube_pkg.bootstrap import http as front
from danube_pkg.bootstrap import repositories as reading
from danube_pkg.bootstrap import triggers as mailroom
from danube_pkg.bootstrap.dex import open_dex
from danube_pkg.bootstrap.images import ImagePlan, open_images
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.settings import (
    ConfigRepository,
    DexProgram,
    EgressHosts,
    RuntimeKind,
    RuntimeSettings,
    ServerSettings,
    SourceSettings,
)
from danube_pkg.core.configuration.state import State
from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.images.ports import Images
from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.runtimes.pods import Limits
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.core.store import JobStore
from danube_pkg.edges.grpc.server import CoordinatorEdge
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.ids import SortableIds, sortable_id
from danube_pkg.kit.locks import FileLock, Locked
from danube_pkg.kit.tasks import TaskOwner
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.configuration.sync import Circumstances, Configuration
from danube_pkg.services.danubefile import Outlines
from danube_pkg.services.egress import Egress
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.jobs.coordination import Coordination
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.ports import EnginePorts, EngineSettings
from danube_pkg.services.jobs.steps import FollowerTools
from danube_pkg.services.notifications.observer import News
from danube_pkg.services.secrets import KnownValues, Secrets

SOCKET_NAME = "danube.sock"

RUN_MAX_CONCURRENT_JOBS = 1
"""A house without a configuration is one `danube run`."""

_log = logging.getLogger("danube.server")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. data_dir: absolute; made where it is missing.

    config_repo and what follows it are for a server; without it there is no configuration and no listening, and `sources`
    and `secret_overrides` bring what a single run needs. server: from flags and danube.toml; written, flags: which of its
    settings each of them said.
    """

    data_dir: Path
    known: KnownValues
    images: ImagePlan
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    egress: EgressHosts = field(default_factory=EgressHosts)
    config_repo: ConfigRepository | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    written: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    reading: SourceSettings = field(default_factory=SourceSettings)
    sources: Callable[[Path], Sources] | None = None
    secret_overrides: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    certificate: tuple[Path, Path] | None = None
    dex: DexProgram = field(default_factory=DexProgram)


@dataclass(frozen=True, slots=True)
class House:
    """What is reachable of a running one. address: `http://HOST:PORT`, "" where it does not listen."""

    engine: Engine
    jobs: JobStore
    pipelines: PipelineStore
    logs: JobLogs
    artifacts: Artifacts
    artifact_directory: Path
    configuration: Configuration | None
    address: str
    egress: Egress


@asynccontextmanager
async def open_house(plan: Plan) -> AsyncIterator[House]:
    """Everything built and running; when the block is left all of it is let go, and pods go on."""
    async with AsyncExitStack() as stack:
        data = _data_directory(plan.data_dir)
        lock = _lock(data)
        stack.callback(lock.release)
        clock, keys = SystemClock(), Keys.open(data / "keys")
        configuration: Configuration | None = None
        database = Database(data / "danube.db")
        stack.push_async_callback(database.close)
        jobs, pipelines = SqliteJobs(database), SqlitePipelines(database)
        ids = SortableIds(clock.now, secrets.token_bytes)
        for newest in await jobs.list_jobs(JobFilter(limit=1)):
            ids.continue_after(newest.id)
        logs = FileJobLogs(data / "logs", clock.now)
        stack.callback(logs.abandon)
        ledgers = FileLedgers(data / "logs")

        async def names_to_mask(job_id: str) -> Collection[str]:
            job = await engine.find(job_id)
            return host_forms(await engine.values_to_mask(job)) if job is not None else ()

        proxies = EgressProxies(egress_settings(plan.egress, data), ledgers, names_to_mask)
        stack.push_async_callback(proxies.close)
        audit = Audit(SqliteAudit(database, keys.audit_key), clock, keys.audit_key)
        secret_service = Secrets(
            SqliteSecrets(database),
            keys,
            clock,
            ids,
            plan.known,
            overrides=plan.secret_overrides,
            reserved=lambda: configuration.named_secrets if configuration is not None else frozenset(),
            audit=audit if plan.config_repo is not None else None,
        )

        house_images = open_images(plan.images, lambda: config().registries, secret_service.read_for_server)
        images = await stack.enter_async_context(house_images)
        runtime = _sandbox(plan.runtime, data, images, proxies)
        stack.push_async_callback(runtime.close)
        files = ArtifactDirectory(data / "artifacts")
        artifacts = Artifacts(SqliteArtifacts(database), files, clock, ids)

        def config() -> ConfigSpec:
            return configuration.config if configuration is not None else ConfigSpec()

        def max_concurrent_jobs() -> int:
            return config().max_concurrent_jobs if configuration is not None else RUN_MAX_CONCURRENT_JOBS

        git: reading.Git | None = None
        if plan.config_repo is not None:
            git = reading.open_git(plan.config_repo, plan.reading, data, config, secret_service, clock)
            stack.push_async_callback(git.forges.close)
        sources: Sources = git.sources if git is not None else (plan.sources or GitSources)(data / "repos")
        news = News(lambda: configuration.state if configuration is not None else State(), clock)
        egress = Egress(proxies, ledgers, secret_service)
        engine = Engine(
            EnginePorts(jobs, pipelines, runtime, logs, keys, secret_service, sources, clock, ids, egress),
            EngineSettings(max_concurrent_jobs, coordinator_command(), lambda: config().egress_allowlist, news),
        )
        look_again: list[Callable[[], None]] = [engine.reconsider_queue]

        def applied() -> None:
            for one in look_again:
                one()

        server = plan.server
        if plan.config_repo is not None and git is not None:
            circumstances = Circumstances(plan.config_repo, plan.server, plan.written, plan.flags)
            configuration = await reading.open_configuration(circumstances, database, git, clock, ids, applied)
            server = configuration.circumstances.server
        tools = FollowerTools(runtime, keys, clock, egress)
        coordination = Coordination(engine, keys, runtime, secret_service, artifacts, tools)
        await stack.enter_async_context(CoordinatorEdge(coordination).serving(data / "run" / "grpc"))
        draining = engine.draining = Draining(SqliteServerState(database))
        await draining.recall()
        await stack.enter_async_context(engine.running())
        address = ""
        if git is not None and configuration is not None:
            around = mailroom.Surroundings(
                database=database,
                clock=clock,
                engine=engine,
                news=news,
                configuration=configuration,
                pipelines=pipelines,
                secrets=secret_service,
                sources=sources,
                changes=git.sources,
                statuses=git.statuses,
                forges=git.forges,
                external_url=lambda: server.external_url,
                is_paused=lambda: draining.active,
                on_task_failed=_task_failed,
            )
            mail = await stack.enter_async_context(mailroom.open_mailroom(around))
            look_again.append(mail.schedules.look_again)
            opening = open_dex(plan.dex, server.external_url, data, keys, database, clock)
            dex = await stack.enter_async_context(opening)
            if dex is not None:
                plan.known.add(keys.dex_client_secret.encode())
                look_again.append(dex.look_again)

            async def further_conditions() -> list[Condition]:
                return [*mail.conditions(), *(await dex.conditions() if dex is not None else ())]

            configuration.further_conditions = further_conditions
            owner = TaskOwner(_task_failed)
            stack.push_async_callback(owner.close)
            owner.start("configuration", configuration.follow())
            behind = front.House(
                database=database,
                keys=keys,
                clock=clock,
                new_id=ids,
                jobs=jobs,
                pipelines=pipelines,
                logs=logs,
                engine=engine,
                secrets=secret_service,
                artifacts=artifacts,
                artifact_directory=data / "artifacts",
                configuration=configuration,
                draining=draining,
                audit=audit,
                oidc_client=partial(reading.oidc_client, config, secret_service, dex.settings.client if dex else None),
                outlines=Outlines(git.sources, git.sources),
                deploy_key=git.deploy_key,
                egress=egress,
                hooks=mail.hooks,
                dex=dex,
            )
            facing = front.FrontSettings(
                data / SOCKET_NAME,
                server.bind_address,
                server.external_url,
                plan.certificate,
                page_directory=front.find_page(),
            )
            opened = await stack.enter_async_context(front.open_front(behind, facing))
            look_again.append(opened.services.access.changed)
            address = opened.address
        yield House(engine, jobs, pipelines, logs, artifacts, data / "artifacts", configuration, address, egress)


async def serve(plan: Plan, stop: asyncio.Event) -> None:
    """A server until `stop` is set."""
    async with open_house(plan) as house:
        _log.info(
            "server-ready",
            extra={"fields": {"address": house.address, "data": str(plan.data_dir), "process": os.getpid()}},
        )
        await stop.wait()
        _log.info("server-stopping", extra={"fields": {"jobs": "go on; the next server continues them"}})


async def remove_pods(data_dir: Path) -> None:
    """What a house that was killed has left of pods on a data directory that nobody will open again. Raises Conflict."""
    lock = _lock(_data_directory(data_dir))
    try:
        runtime = _sandbox(RuntimeSettings(), data_dir)
        try:
            for pod in await runtime.list_pods():
                await runtime.delete_pod(pod.job_id)
        finally:
            await runtime.close()
    finally:
        lock.release()


def sandbox_settings(settings: RuntimeSettings, data: Path) -> SandboxSettings:
    """How the sandbox works on a data directory."""
    return SandboxSettings(
        data_dir=data,
        grpc_directory=data / "run" / "grpc",
        supervisor=find_program("danube-step"),
        namespaces=find_program("danube-ns"),
        program=coordinator_program(),
        python_prefix=Path(sys.base_prefix).resolve(),
        extra_host_paths=tuple(map(Path, settings.host_paths)),
    )


def new_id() -> str:
    """An id that sorts by time."""
    return sortable_id(SystemClock().now(), secrets.token_bytes(10))


def egress_settings(settings: EgressHosts, data: Path) -> EgressSettings:
    """How the egress proxies of a data directory are started."""
    return EgressSettings(
        directory=data / "run" / "egress",
        launcher=find_program("danube-ns"),
        user=PROXY_USER if has_ids_for_pods() else 0,
        cgroups=lambda: find_cgroups().make("egress-proxy", "all", Limits()),
        hosts=settings.hosts,
    )


def _sandbox(
    settings: RuntimeSettings, data: Path, images: Images | None = None, proxies: EgressProxies | None = None
) -> Runtime:
    if settings.kind is RuntimeKind.KUBERNETES:
        raise Permanent(
            "runtime-missing",
            "this version runs jobs in the sandbox only",
            hint='in danube.toml: [runtime] kind = "sandbox"',
        )
    return SandboxRuntime(sandbox_settings(settings, data), images, proxies)


def _data_directory(data: Path) -> Path:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("run", "run/grpc"):
            (data / name).mkdir(exist_ok=True)
            (data / name).chmod(0o755)  # whatever the umask: coordinators, who are other users, come through here
    except OSError as error:
        raise Permanent(
            "data-directory-unusable",
            f"the data directory {data} cannot be used",
            cause=error.strerror or str(error),
            hint=f"make it: install -d -m 0700 -o {os.geteuid()} {data}, or name another one: --data DIR",
        ) from error
    return data


def _lock(data: Path) -> FileLock:
    try:
        return FileLock(data / "danube.lock")
    except Locked as error:
        raise Conflict(
            "data-directory-locked",
            f"another server works on {data}",
            cause=f"process {error.holder} holds its lock",
            hint=f"stop it first: kill {error.holder}, or name another directory: --data DIR",
        ) from error


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})
