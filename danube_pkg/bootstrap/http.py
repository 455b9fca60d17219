"""The part of the composition root that faces people: who they are, what they may, and the HTTP edge that asks both."""

import secrets as randomness
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import danube_pkg
from danube_pkg.adapters.dex.upstream import HttpUpstream
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.oidc.issuer import OidcProvider
from danube_pkg.adapters.passwords.bcrypt_hashes import BcryptPasswords
from danube_pkg.adapters.store import (
    Database,
    SqliteAccess,
    SqliteIdempotency,
    SqliteInbox,
    SqliteSessions,
    SqliteTokens,
)
from danube_pkg.core.identity.dex import PATH as DEX_PATH
from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.store import JobStore
from danube_pkg.edges.http.metrics import HttpMetrics
from danube_pkg.edges.http.routes import PATTERNS, ROUTES, api_document
from danube_pkg.edges.http.server.listener import HttpEdge
from danube_pkg.edges.http.server.security import session_cookie
from danube_pkg.edges.http.services import Logins, Services, Site
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
class FrontSettings:
    """How people reach the server. `page_directory`: where the built page lies."""

    socket_path: Path
    bind_address: str
    external_url: str = ""
    certificate: tuple[Path, Path] | None = None
    page_directory: Path | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What stands behind the front. `dex`: the one behind `/dex`."""

    database: Database
    keys: Keys
    clock: Clock
    new_id: Callable[[], str]
    jobs: JobStore
    pipelines: PipelineStore
    logs: JobLogs
    engine: Engine
    secrets: Secrets
    artifacts: Artifacts
    artifact_directory: Path
    configuration: Configuration | None
    draining: Draining
    audit: Audit
    oidc_client: Callable[[], Awaitable[ClientSettings | None]]
    outlines: Outlines
    deploy_key: str
    egress: Egress | None = None
    hooks: Hooks | None = None
    dex: Dex | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """What is open. `address`: `http://HOST:PORT`."""

    address: str
    services: Services


@asynccontextmanager
async def open_front(house: House, settings: FrontSettings) -> AsyncIterator[Front]:
    """Open while the block is."""
    async with AsyncExitStack() as stack:
        dex = house.dex.settings if house.dex is not None else None
        provider = OidcProvider((dex.issuer, f"{dex.url}{DEX_PATH}") if dex is not None else None)
        checks = BcryptPasswords()
        stack.push_async_callback(provider.close)
        stack.callback(checks.close)
        site = Site(settings.external_url, tls=settings.certificate is not None, page_directory=settings.page_directory)
        if dex is not None:
            upstream = HttpUpstream(dex.url, frozenset({session_cookie(site)}))
            stack.push_async_callback(upstream.close)
            site = replace(site, dex=upstream)
        services = _services(house, site, provider, checks)
        serving = HttpEdge(services, ROUTES, PATTERNS).serving(
            settings.socket_path, settings.bind_address, settings.certificate
        )
        yield Front(await stack.enter_async_context(serving), services)


def find_page() -> Path:
    """Where the built page lies: beside an installed package, else in a checkout's build directory."""
    package = Path(danube_pkg.__file__).absolute().parent
    installed = package / "web"
    return installed if installed.is_dir() else package.parent / "build" / "web"


def _services(house: House, site: Site, provider: OidcProvider, checks: BcryptPasswords) -> Services:
    clock, new_id, random = house.clock, house.new_id, randomness.token_bytes
    access = Access(SqliteAccess(house.database))
    return Services(
        jobs=house.jobs,
        pipelines=house.pipelines,
        logs=house.logs,
        engine=house.engine,
        secrets=house.secrets,
        artifacts=house.artifacts,
        artifact_directory=str(house.artifact_directory),
        configuration=house.configuration,
        outlines=house.outlines,
        deploy_key=house.deploy_key,
        access=access,
        logins=Logins(
            sessions=Sessions(SqliteSessions(house.database), access, clock, new_id, random),
            tokens=Tokens(SqliteTokens(house.database), access, clock, new_id, random),
            passwords=Passwords(access.store, checks, clock),
            oidc=OidcLogin(house.oidc_client, provider, access.store, house.keys, clock, random),
        ),
        audit=house.audit,
        draining=house.draining,
        idempotency=SqliteIdempotency(house.database),
        inbox=SqliteInbox(house.database),
        clock=clock,
        new_id=new_id,
        metrics=HttpMetrics(house.engine, house.draining),
        api_document=api_document,
        site=site,
        egress=house.egress,
        hooks=house.hooks,
        dex=house.dex,
    )
