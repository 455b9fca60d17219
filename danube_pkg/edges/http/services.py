"""What the HTTP edge is given: the ports that it reads from and the services that it calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from danube_pkg.core.identity_ports import IdempotencyStore, UpstreamHttp
from danube_pkg.core.ports import Clock, JobLogs, JobStore, PipelineStore
from danube_pkg.core.trigger_ports import InboxStore
from danube_pkg.services.access import Access
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.audit import Audit
from danube_pkg.services.configuration import Configuration
from danube_pkg.services.dex import Dex
from danube_pkg.services.draining import Draining
from danube_pkg.services.egress import Egress
from danube_pkg.services.hooks import Hooks
from danube_pkg.services.jobs import Engine
from danube_pkg.services.oidc import OidcLogin
from danube_pkg.services.outlines import Outlines
from danube_pkg.services.passwords import Passwords
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.sessions import Sessions
from danube_pkg.services.tokens import Tokens


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
    site: Site = field(default_factory=Site)
    egress: Egress | None = None
    """None where the runtime keeps no egress ledger."""
    hooks: Hooks | None = None
    dex: Dex | None = None
