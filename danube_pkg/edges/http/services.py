"""The dependencies of the HTTP edge, a record for each subsystem: ports to read from and services to call. A plain read
goes to a port; everything else goes through a service."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.identity.ports import IdempotencyStore, UpstreamHttp
from danube_pkg.core.jobs.report_notes import ReportNotes
from danube_pkg.core.jobs.reports import ReportStore
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.provenance.ports import SigningKeyRing
from danube_pkg.core.store import JobStore
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.edges.http.metrics.server_metrics import HttpMetrics
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record, field
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.caches import Caches
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.danubefile import Outlines
from danube_pkg.services.egress import Egress
from danube_pkg.services.health import ServerConditions
from danube_pkg.services.health.readiness import ServerReadiness
from danube_pkg.services.health.upkeep import Upkeep
from danube_pkg.services.identity.access import Access
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.identity.dex import Dex
from danube_pkg.services.identity.logins import Logins
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.images.registry_tokens import RegistryTokens
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.environment_decisions import EnvironmentDecisions
from danube_pkg.services.jobs.id_tokens import IdTokens
from danube_pkg.services.jobs.shells import Shells
from danube_pkg.services.provenance.exports import JobExports
from danube_pkg.services.provenance.statements import Statements
from danube_pkg.services.retention import Retention
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.traces import Tracer
from danube_pkg.services.triggers.forge_check import ForgeChecks
from danube_pkg.services.triggers.webhooks import Webhooks


class Site(Record):
    """How clients reach this server."""

    external_url: str = ""
    """The URL in front of a reverse proxy; "" for the host that a request names."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Reverse proxies on other machines."""
    tls: bool = False
    """Whether the server itself speaks TLS."""
    dex: UpstreamHttp | None = None
    """The Dex to forward to; None if there is none."""
    page_directory: Path | None = None
    """The folder with the built page; None if there is none."""
    pages_directory: Path | None = None
    """The folder with the pages that provenance names; None if there is none."""

    @property
    def secure(self) -> bool:
        """Whether browsers reach it only by HTTPS."""
        return self.tls or self.external_url.startswith("https://")


class JobServices(Record):
    """Jobs, what runs them and what they leave behind."""

    store: JobStore
    engine: Engine
    draining: Draining
    decisions: EnvironmentDecisions
    logs: JobLogs
    reports: ReportStore
    notes: ReportNotes
    egress: Egress
    id_tokens: IdTokens
    shells: Shells


class StorageServices(Record):
    """Files of jobs, and how long they stay."""

    artifacts: Artifacts
    artifact_directory: str
    """The folder with the artifacts' bytes."""
    caches: Caches
    retention: Retention


class ImageServices(Record):
    """Images that jobs build."""

    builds: ImageBuilds
    registry_tokens: RegistryTokens | None
    """None where the registry takes no tokens of this server."""


class ProvenanceServices(Record):
    """Signed statements, and the keys that sign them."""

    statements: Statements
    exports: JobExports
    signing_keys: SigningKeyRing


class ConfigurationServices(Record):
    """The configuration repository, and what was applied of it."""

    sync: ConfigurationSync
    applied: AppliedConfiguration
    outlines: Outlines
    deploy_key: str
    """The public half of the server's SSH key."""


class IdentityServices(Record):
    """Who calls, what they may do, and what they did."""

    access: Access
    logins: Logins
    audit: Audit
    dex: Dex | None = None
    """None if danube.toml configures no Dex."""


class TriggerServices(Record):
    """Deliveries of webhooks, and the forges that send them."""

    inbox: InboxStore
    webhooks: Webhooks
    forge_checks: ForgeChecks


class HealthServices(Record):
    """The state of the server."""

    conditions: ServerConditions
    readiness: ServerReadiness
    upkeep: Upkeep


class RequestServices(Record):
    """What serves every request, whatever it is about."""

    idempotency: IdempotencyStore
    new_id: Callable[[], str]
    metrics: HttpMetrics
    tracer: Tracer
    api_document: Callable[[], Mapping[str, Any]]
    """The OpenAPI document of all routes."""


class Services(Record):
    """What resources and the framework call."""

    jobs: JobServices
    pipelines: PipelineStore
    secrets: Secrets
    storage: StorageServices
    images: ImageServices
    provenance: ProvenanceServices
    configuration: ConfigurationServices
    identity: IdentityServices
    triggers: TriggerServices
    health: HealthServices
    requests: RequestServices
    clock: Clock
    site: Site = field(default_factory=Site)
