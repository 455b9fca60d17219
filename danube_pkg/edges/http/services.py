"""What the HTTP edge is given: the ports that it reads from and the services that it calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danube_pkg.core.identity.ports import IdempotencyStore, UpstreamHttp
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.store import JobStore
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.edges.http.metrics import HttpMetrics
from danube_pkg.kit.clock import Clock
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.configuration.sync import Configuration
from danube_pkg.services.danubefile import Outlines
from danube_pkg.services.egress import Egress
from danube_pkg.services.identity.access import Access
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.identity.dex import Dex
from danube_pkg.services.identity.oidc import OidcLogin
from danube_pkg.services.identity.passwords import Passwords
from danube_pkg.services.identity.sessions import Sessions
from danube_pkg.services.identity.tokens import Tokens
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.triggers.webhooks import Hooks


@dataclass(frozen=True, slots=True)
class Site:
    """How this server is reached. `external_url`: "" means as people asked for it; `tls`: it speaks TLS itself;
    `page_directory`: where the built page lies."""

    external_url: str = ""
    tls: bool = False
    dex: UpstreamHttp | None = None
    page_directory: Path | None = None

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https alone."""
        return self.tls or self.external_url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Logins:
    """The ways to prove who one is."""

    sessions: Sessions
    tokens: Tokens
    passwords: Passwords
    oidc: OidcLogin


@dataclass(frozen=True, slots=True)
class Services:
    """A plain read goes straight to a port; everything else through a service. `artifact_directory`: where bytes lie;
    `deploy_key`: the public half of the server's own ssh key."""

    jobs: JobStore
    pipelines: PipelineStore
    logs: JobLogs
    engine: Engine
    secrets: Secrets
    artifacts: Artifacts
    artifact_directory: str
    configuration: Configuration | None
    outlines: Outlines
    deploy_key: str
    access: Access
    logins: Logins
    audit: Audit
    draining: Draining
    idempotency: IdempotencyStore
    inbox: InboxStore
    clock: Clock
    new_id: Callable[[], str]
    metrics: HttpMetrics
    api_document: Callable[[], Mapping[str, Any]]
    """The OpenAPI document of all routes."""
    site: Site = field(default_factory=Site)
    egress: Egress | None = None
    """None where the runtime keeps no egress ledger."""
    hooks: Hooks | None = None
    dex: Dex | None = None
