"""Opens the HTTP edge: its services, the web page and the sockets."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import danube_pkg
from danube_pkg.adapters.dex.upstream import HttpUpstream
from danube_pkg.adapters.store import SqliteIdempotency, SqliteReports, SqliteServerState
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.health import HealthParts
from danube_pkg.bootstrap.identity import IdentityParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.bootstrap.telemetry import TelemetryParts
from danube_pkg.bootstrap.triggers import TriggerParts
from danube_pkg.core.identity.local_socket import SOCKET_NAME
from danube_pkg.core.repositories.ports import SourceFiles
from danube_pkg.edges.http.metrics.server_metrics import HttpMetrics, MetricSources
from danube_pkg.edges.http.routes import PATTERNS, ROUTES, api_document
from danube_pkg.edges.http.server.listener import HttpServer
from danube_pkg.edges.http.server.security import session_cookie
from danube_pkg.edges.http.services import (
    ConfigurationServices,
    HealthServices,
    IdentityServices,
    ImageServices,
    JobServices,
    ProvenanceServices,
    RequestServices,
    Services,
    Site,
    StorageServices,
    TriggerServices,
)
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loop_lag import measure_lag
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.tallies import Tally
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.danubefile import Outlines
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.jobs.environment_decisions import EnvironmentDecisions
from danube_pkg.services.jobs.shells import Shells
from danube_pkg.services.provenance.signing_keys import KnownSigningKeys
from danube_pkg.services.retention import Retention

_log = EventLog("danube.http")


class HttpOptions(Record):
    """How clients reach the server.

    external_url: the URL that links begin with; certificate: the files of a TLS certificate and its key;
    page_directory: the built page. trusted_proxies: networks whose X-Forwarded-For is believed. listening: a socket
    that listens at bind_address already. admin: the local administrator's unix socket, if it listens already.
    """

    bind_address: str
    external_url: str = ""
    certificate: tuple[Path, Path] | None = None
    page_directory: Path | None = None
    trusted_proxies: Sequence[str] = ()
    listening: socket.socket | None = None
    admin: socket.socket | None = None


class HttpParts(Record):
    """address: `http://HOST:PORT`."""

    address: str
    services: Services


class ServerParts(Record):
    """The parts of the server that the HTTP edge uses. files: reads single files of repositories.

    pulled: the images that were pulled; None for a runtime whose images are pulled by others.
    cluster_calls: requests to a cluster's API; None where there is none.
    """

    store: Store
    jobs: EngineParts
    triggers: TriggerParts
    identity: IdentityParts
    configuration: ConfigurationSync
    health: HealthParts
    audit: Audit
    retention: Retention
    files: SourceFiles
    deploy_key: str
    telemetry: TelemetryParts
    pulled: Tally | None = None
    cluster_calls: Tally | None = None


@asynccontextmanager
async def open_http(parts: ServerParts, options: HttpOptions) -> AsyncIterator[HttpParts]:
    """Listens until the block is left."""
    async with AsyncExitStack() as stack:
        site = Site(
            options.external_url,
            tuple(map(ip_network, options.trusted_proxies)),
            tls=options.certificate is not None,
            page_directory=options.page_directory,
            pages_directory=find_provenance_pages(),
        )
        if (dex := parts.identity.dex) is not None:
            upstream = HttpUpstream(dex.settings.url, frozenset({session_cookie(site)}))
            stack.push_async_callback(upstream.close)
            site = replace(site, dex=upstream)
        services = build_services(parts, site)
        owner = TaskOwner(logged(_log.logger))
        stack.push_async_callback(owner.close)
        owner.start("event loop lag", measure_lag(services.requests.metrics.lag.observe))
        owner.start("metrics push", parts.telemetry.metrics.follow(services.requests.metrics.points))
        server = HttpServer(services, ROUTES, PATTERNS)
        local = parts.store.directory / SOCKET_NAME
        serving = server.serving(local, options.bind_address, options.certificate, options.listening, options.admin)
        yield HttpParts(await stack.enter_async_context(serving), services)


def find_page() -> Path:
    """The directory of the built page: inside an installed package, else in a checkout's build directory."""
    package = Path(danube_pkg.__file__).absolute().parent
    installed = package / "web"
    return installed if installed.is_dir() else package.parent / "build" / "web"


def find_provenance_pages() -> Path:
    """The directory of the pages that provenance names: inside an installed package, else in a checkout."""
    package = Path(danube_pkg.__file__).absolute().parent
    installed = package / "docs"
    return installed if installed.is_dir() else package.parent / "docs"


def _metric_sources(parts: ServerParts) -> MetricSources:
    return MetricSources(
        queries=parts.store.database.queries,
        secret_requests=parts.jobs.secrets.requests,
        log_bytes=lambda: parts.jobs.logs.written_bytes,
        syncs=parts.configuration.outcomes,
        sync_status=lambda: parts.configuration.status,
        logins=parts.identity.logins.oidc.outcomes,
        registry_pulls=parts.pulled,
        cluster_calls=parts.cluster_calls,
        registry_pushes=parts.jobs.images.builds.pushes,
        secret_bytes=lambda: parts.jobs.secrets.known.size_bytes,
        reconnects=parts.jobs.work.reconnects,
        upkeep=parts.health.upkeep,
        freed=(parts.retention.freed, parts.health.freed),
        subsystems=lambda: parts.health.readiness.known,
        disk=parts.health.disk,
        clock=parts.store.clock,
    )


def build_services(parts: ServerParts, site: Site) -> Services:
    """The services that resources call."""
    return Services(
        jobs=_job_services(parts),
        pipelines=parts.store.pipelines,
        secrets=parts.jobs.secrets,
        storage=StorageServices(
            artifacts=parts.jobs.files.artifacts,
            artifact_directory=str(parts.store.directory / "artifacts"),
            caches=parts.jobs.files.caches,
            retention=parts.retention,
        ),
        images=ImageServices(parts.jobs.images.builds, parts.jobs.images.registry_tokens),
        provenance=ProvenanceServices(
            statements=parts.jobs.provenance.statements,
            exports=parts.jobs.provenance.exports,
            signing_keys=KnownSigningKeys(parts.store.signing, SqliteServerState(parts.store.database)),
        ),
        configuration=ConfigurationServices(
            sync=parts.configuration,
            applied=parts.configuration.applied,
            outlines=Outlines(parts.jobs.sources, parts.files),
            deploy_key=parts.deploy_key,
        ),
        identity=IdentityServices(parts.identity.access, parts.identity.logins, parts.audit, parts.identity.dex),
        triggers=TriggerServices(parts.triggers.inbox_store, parts.triggers.webhooks, parts.triggers.forge_checks),
        health=HealthServices(parts.health.conditions, parts.health.readiness, parts.health.upkeep),
        requests=RequestServices(
            idempotency=SqliteIdempotency(parts.store.database),
            new_id=parts.store.new_id,
            metrics=HttpMetrics(parts.jobs.engine, parts.jobs.draining, _metric_sources(parts)),
            tracer=parts.telemetry.tracer,
            api_document=api_document,
        ),
        clock=parts.store.clock,
        site=site,
    )


def _job_services(parts: ServerParts) -> JobServices:
    store, jobs, applied = parts.store, parts.jobs, parts.configuration.applied
    reports = SqliteReports(store.database)
    return JobServices(
        store=store.jobs,
        engine=jobs.engine,
        draining=jobs.draining,
        decisions=EnvironmentDecisions(jobs.engine, store.jobs, applied, jobs.secrets, parts.audit),
        logs=jobs.logs,
        reports=reports,
        notes=reports,
        egress=jobs.egress,
        id_tokens=jobs.id_tokens,
        shells=Shells(jobs.engine, jobs.work.ports, jobs.work.resources, jobs.images.builds, parts.audit, store.clock),
    )
