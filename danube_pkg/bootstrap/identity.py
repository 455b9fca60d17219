"""Opens logins and access rights, and runs Dex where `danube.toml` names one."""

import logging
import secrets as randomness
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from danube_pkg.adapters.dex.process import ChildDex, DexFiles
from danube_pkg.adapters.dex.upstream import HttpUpstream
from danube_pkg.adapters.oidc.issuer import OidcProvider
from danube_pkg.adapters.passwords.bcrypt_hashes import BcryptPasswords
from danube_pkg.adapters.programs import find_program
from danube_pkg.adapters.store import SqliteAccess, SqliteAudit, SqliteSessions, SqliteTokens
from danube_pkg.bootstrap.keys import audit_keys
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import DexProgram
from danube_pkg.core.identity.dex import PATH as DEX_PATH
from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import Record
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.health import ConditionSource
from danube_pkg.services.identity.access import Access
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.identity.bearer import BearerParts
from danube_pkg.services.identity.dex import Dex
from danube_pkg.services.identity.logins import Logins
from danube_pkg.services.identity.oidc import Client, OidcLogin
from danube_pkg.services.identity.passwords import Passwords
from danube_pkg.services.identity.sessions import Sessions
from danube_pkg.services.identity.tokens import Tokens
from danube_pkg.services.identity.users import Users
from danube_pkg.services.secrets import Secrets

_log = logging.getLogger("danube.dex")


class IdentityParts(Record):
    """Access rights and logins. dex: None where danube.toml does not configure it."""

    access: Access
    logins: Logins
    dex: Dex | None

    @property
    def conditions(self) -> tuple[ConditionSource, ...]:
        """Those of an issuer elsewhere; those of the own Dex keep the server from being ready."""
        return (self.logins.oidc,) if self.dex is None else ()


def build_audit(store: Store) -> Audit:
    """The audit log of a data directory."""
    keys = audit_keys(store.database, store.keys)
    return Audit(SqliteAudit(store.database, keys.current), store.clock, keys)


@asynccontextmanager
async def open_identity(
    store: Store, applied: AppliedConfiguration, secrets: Secrets, program: DexProgram, external_url: str
) -> AsyncIterator[IdentityParts]:
    """Runs Dex until the block is left, where it is configured."""
    async with AsyncExitStack() as stack:
        access = Access(SqliteAccess(store.database), applied)
        dex = await stack.enter_async_context(_open_dex(store, applied, program, external_url))
        if dex is not None:
            secrets.known.add(store.keys.dex_client_secret.encode())
        own = dex.settings.client if dex is not None else None
        client, issuer = partial(oidc_client, applied, secrets, own), partial(current_issuer, applied, own)
        yield await stack.enter_async_context(open_logins(store, access, dex, client, issuer))


@asynccontextmanager
async def open_logins(
    store: Store, access: Access, dex: Dex | None, client: Client, issuer: Callable[[], str]
) -> AsyncIterator[IdentityParts]:
    """The logins of a server. client: finds the issuer at each login, since the configuration may name another; issuer:
    its URL, "" for logins with passwords."""
    async with AsyncExitStack() as stack:
        settings = dex.settings if dex is not None else None
        provider = OidcProvider((settings.issuer, f"{settings.url}{DEX_PATH}") if settings is not None else None)
        stack.push_async_callback(provider.close)
        checks = BcryptPasswords()
        stack.callback(checks.close)
        bearer = BearerParts(access, store.clock, store.new_id, randomness.token_bytes, issuer)
        sessions = Sessions(SqliteSessions(store.database), bearer)
        tokens = Tokens(SqliteTokens(store.database), bearer)
        logins = Logins(
            sessions=sessions,
            tokens=tokens,
            passwords=Passwords(access.store, checks, store.clock),
            oidc=OidcLogin(client, provider, access.store, store.keys, store.clock, randomness.token_bytes),
            users=Users(access.store, sessions, tokens),
        )
        yield IdentityParts(access, logins, dex)


def current_issuer(applied: AppliedConfiguration, own: ClientSettings | None = None) -> str:
    """The URL of the issuer at which users log in now; "" where they log in with passwords."""
    configured = applied.config.auth.oidc
    if configured is not None:
        return configured.issuer
    return own.issuer if own is not None else ""


async def oidc_client(
    applied: AppliedConfiguration, secrets: Secrets, own: ClientSettings | None = None
) -> ClientSettings | None:
    """Danube as a client of the configured issuer, else of its own Dex (`own`); None where users log in with passwords.

    Raises Permanent for a client secret that is not set.
    """
    issuer = applied.config.auth.oidc
    if issuer is None:
        return own
    secret = b""
    if issuer.client_secret_secret:
        secret = await secrets.read_for_server(issuer.client_secret_secret, "the login by OpenID Connect")
    return ClientSettings(
        issuer.issuer,
        issuer.client_id,
        secret.decode("utf-8", "replace").strip(),
        issuer.scopes,
        issuer.groups_claim,
        issuer.device_client_id,
    )


@asynccontextmanager
async def _open_dex(
    store: Store, applied: AppliedConfiguration, program: DexProgram, external_url: str
) -> AsyncIterator[Dex | None]:
    if not program.program:
        yield None
        return
    data = store.directory / "dex"
    settings = DexSettings(
        external_url,
        store.keys.dex_client_secret,
        listen=program.listen,
        telemetry=program.telemetry,
        storage=program.storage or str(data / "dex.db"),
    )
    async with AsyncExitStack() as stack:
        upstream = HttpUpstream(settings.url)
        stack.push_async_callback(upstream.close)
        runner = ChildDex(DexFiles(Path(program.program), find_program("danube-ns"), data), Timing(store.clock))
        stack.push_async_callback(runner.close)
        dex = Dex(settings, SqliteAccess(store.database), runner, upstream, applied, store.timing)
        owner = TaskOwner(logged(_log))
        stack.push_async_callback(owner.close)
        owner.start("dex", dex.follow())
        yield dex
