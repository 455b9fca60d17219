"""Opens the whole server part by part, each from the ones before it; to be read from top to bottom."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.bootstrap.configuration import open_configuration
from danube_pkg.bootstrap.coordinators import CoordinatorAccess, open_coordinator_access
from danube_pkg.bootstrap.engine import build_masks, build_secrets, open_engine
from danube_pkg.bootstrap.health import Observed, open_health
from danube_pkg.bootstrap.http import HttpOptions, ServerParts, find_page, open_http
from danube_pkg.bootstrap.identity import build_audit, open_identity
from danube_pkg.bootstrap.image_provenance import open_image_provenance
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.bootstrap.outside_secrets import open_outside_secrets
from danube_pkg.bootstrap.registry_tokens import with_own_credentials
from danube_pkg.bootstrap.repositories import open_repositories
from danube_pkg.bootstrap.retention import open_retention
from danube_pkg.bootstrap.runtime import RuntimeCallbacks, RuntimeOptions, open_runtime
from danube_pkg.bootstrap.runtime_choice import choose_runtime
from danube_pkg.bootstrap.store import Store, load_applied, open_store, wait_lost
from danube_pkg.bootstrap.telemetry import open_telemetry
from danube_pkg.bootstrap.triggers import open_notifications, open_triggers
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.cluster_settings import effective_cluster
from danube_pkg.core.configuration.settings import HostImage, ServerSettings, Settings, TlsSettings
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.pods import INFRASTRUCTURE_OOM_SCORE
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.oom_score import lower_oom_score
from danube_pkg.kit.part_stack import PartStack
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged, until
from danube_pkg.services.jobs.masks import MaskOptions, MaskSource
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.provenance.statements import StatementContext
from danube_pkg.services.secrets import KnownValues, Secrets

_log = EventLog("danube.server")


class ServerOptions(Record):
    """settings: danube.toml, with the command line's flags applied; flags: names of the settings that these replace.

    known: gets each secret value, to mask it in the server's log. listening: the socket on which clients wait already.
    admin: the local administrator's, if the process manager holds it. pod_launcher: as in RuntimeOptions.
    """

    settings: Settings
    flags: frozenset[str]
    known: KnownValues
    images: ImageOptions
    listening: socket.socket | None = None
    admin: socket.socket | None = None
    pod_launcher: Path | None = None


class RunningServer(Record):
    """address: `http://HOST:PORT`. closed: after its end, the parts that took a while to close, with the seconds."""

    address: str
    parts: ServerParts
    closed: Mapping[str, float]


@asynccontextmanager
async def open_server(options: ServerOptions) -> AsyncIterator[RunningServer]:
    """Serves until the block is left; jobs continue, and the next server has them. Raises Conflict, Permanent."""
    settings = options.settings
    async with PartStack(_report_wait) as stack:
        enter = stack.open
        store = await enter(open_store(Path(settings.server.data_dir)))
        applied = await load_applied(store, settings.config_repo)
        audit, access = build_audit(store), open_coordinator_access(settings.server, store.directory, store.clock)
        places = await enter(open_outside_secrets(settings.secret_sources))
        secrets = build_secrets(store, applied, options.known, audit=audit, places=places)
        masks = build_masks(store, secrets, MaskOptions(settings.logs.mask_token_formats, settings.logs.mask_emails))
        wanted = runtime_options(options, store, applied)
        callbacks = _callbacks(store, masks, applied, secrets, access)
        runtime = await enter(open_runtime(wanted, store.directory, callbacks))
        repositories = await enter(open_repositories(store, applied, secrets, settings.config_repo, settings.sources))
        configuration = await open_configuration(store, applied, repositories, settings, options.flags)
        telemetry = await enter(open_telemetry(store, applied, options.known))
        server, url = configuration.settings.server, configuration.settings.server.external_url
        observer, context = JobObserver(applied, store.clock), StatementContext(configuration=settings.config_repo.url)
        files, tracer = repositories.sources, telemetry.tracer
        opening = open_engine(store, secrets, masks, runtime, files, observer, url, context, tracer, access.listener)
        jobs = await enter(opening)
        outbox = await enter(open_notifications(store, jobs, repositories.statuses, repositories.forges, url))
        attested = await enter(open_image_provenance(store, jobs, wanted.images, secrets.read_for_server))
        triggers = await enter(open_triggers(store, jobs, repositories.access(url), configuration.sync))
        identity = await enter(open_identity(store, applied, secrets, settings.dex, url))
        retention = await enter(open_retention(store, applied, audit, jobs, wanted.images, secrets.read_for_server))
        conditions = (configuration.sync, *configuration.conditions, *identity.conditions, *triggers.conditions, outbox)
        observed = Observed(
            store=store,
            jobs=jobs,
            mirrors=files.mirrors,
            configuration=configuration.sync,
            dex=identity.dex,
            audit=audit,
            runtime=runtime,
            retention=retention,
            sources=(*conditions, *attested, jobs.draining, retention, *runtime.conditions, tracer, telemetry.metrics),
        )
        owner = TaskOwner(logged(_log.logger))
        stack.push_async_callback(owner.close)
        owner.start("configuration", configuration.sync.follow())
        parts = ServerParts(
            store=store,
            jobs=jobs,
            triggers=triggers,
            identity=identity,
            configuration=configuration.sync,
            health=await enter(open_health(observed)),
            audit=audit,
            retention=retention,
            files=files,
            deploy_key=repositories.deploy_key,
            telemetry=telemetry,
            pulled=runtime.images.pulled if runtime.images is not None else None,
            cluster_calls=runtime.cluster_calls,
        )
        opened = await enter(open_http(parts, _http_options(options, server)))
        yield RunningServer(opened.address, parts, stack.closed)
        jobs.engine.stop_accepting()


def runtime_options(options: ServerOptions, store: Store, applied: AppliedConfiguration) -> RuntimeOptions:
    """How pods are made, from danube.toml and the applied configuration."""
    settings = options.settings
    choice = choose_runtime(settings)
    _log.info("runtime-chosen", runtime=choice.name, why=choice.why)
    cluster = effective_cluster(settings.kubernetes, settings.written, applied.config.kubernetes)
    lends_host = settings.images.host is HostImage.ALLOW
    return RuntimeOptions(
        with_own_credentials(options.images, store),
        settings.runtime,
        settings.egress,
        choice=choice,
        kubernetes=cluster,
        server=settings.server,
        host_image=lends_host,
        pod_launcher=options.pod_launcher,
    )


def _callbacks(
    store: Store, masks: MaskSource, applied: AppliedConfiguration, secrets: Secrets, access: CoordinatorAccess
) -> RuntimeCallbacks:
    return RuntimeCallbacks(
        host_forms=masks.host_forms,
        registries=lambda: applied.config.registries,
        secret_of=secrets.read_for_server,
        pods=access.pods,
        connection=access.connection,
        egress_password=store.keys.egress_password,
    )


async def serve(options: ServerOptions, stop: asyncio.Event) -> None:
    """Runs a server until `stop` is set. Raises as `open_server` does, and Conflict when its data directory was
    replaced."""
    if not lower_oom_score(INFRASTRUCTURE_OOM_SCORE):
        _log.info("oom-score-not-lowered", hint="see: danube doctor")
    data = options.settings.server.data_dir
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(open_server(options))
        except OSError as error:
            raise _not_started(Path(data), error) from error
        _log.info("server-ready", address=server.address, data=data, process=os.getpid())
        lost = await until(stop.wait(), wait_lost(server.parts.store), name="data directory")
        if lost is not None:
            _log.error(lost.reference, what=lost.what, cause=lost.cause, hint=lost.hint)
            raise lost
        _log.info("server-stopping", jobs="continue; the next server takes them over")
        began = time.monotonic()
    _log.info("server-stopped", seconds=round(time.monotonic() - began, 1), parts=dict(server.closed))


def _report_wait(part: str, seconds: float) -> None:
    """Why a stop takes long: an operator who waits for it reads the log."""
    _log.warning(
        "server-stop-waits",
        part=part,
        seconds=seconds,
        hint="whether the processor or the disk is busy: cat /proc/pressure/*",
    )


def _not_started(data: Path, error: OSError) -> Permanent:
    """A file of the data directory that cannot be used, whichever part of the server met it."""
    path = error.filename or data
    return Permanent(
        "data-directory-unusable",
        f"the server cannot start: {path} cannot be used",
        cause=error.strerror or str(error),
        hint=f"check it: ls -ld {path}; move it away if it does not belong there, or restore a backup: "
        "danube restore FILE --data DIR",
    )


def _http_options(options: ServerOptions, server: ServerSettings) -> HttpOptions:
    """server: the effective settings."""
    certificate = _certificate(options.settings.tls)
    return HttpOptions(
        server.bind_address,
        server.external_url,
        certificate,
        find_page(),
        server.trusted_proxies,
        options.listening,
        options.admin,
    )


def _certificate(tls: TlsSettings) -> tuple[Path, Path] | None:
    return (Path(tls.certificate), Path(tls.key)) if tls.certificate else None
