"""A whole HTTP server in this process, and callers with different rights.

async with open_api(tmp_path) as api:
    api.team("core"); api.pipeline("app", owner="core")
    alice = await api.caller("alice", core="admin")
    answer = await alice.get("/api/v1/jobs")
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.dex.upstream import HttpUpstream
from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import open_deploy_key
from danube_pkg.adapters.store import SqliteAccess, SqliteConfiguration, SqliteSessions, SqliteTokens
from danube_pkg.bootstrap.engine import EngineParts, build_secrets
from danube_pkg.bootstrap.health import Observed, open_health
from danube_pkg.bootstrap.http import HttpOptions, HttpParts, ServerParts, open_http
from danube_pkg.bootstrap.identity import build_audit, open_logins
from danube_pkg.bootstrap.retention import build_retention
from danube_pkg.bootstrap.store import Store, open_store
from danube_pkg.bootstrap.telemetry import open_telemetry
from danube_pkg.bootstrap.triggers import ForgeAccess, build_triggers
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.core.identity.access import Scope
from danube_pkg.core.identity.dex import DexSettings
from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.core.identity.people import SESSION_PREFIX, BrowserSession, new_secret, secret_hash
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.logs.redaction import NO_PATTERNS
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.identity.access import Access
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.identity.bearer import BearerParts
from danube_pkg.services.identity.dex import Dex
from danube_pkg.services.identity.sessions import csrf_token
from danube_pkg.services.identity.tokens import Tokens
from danube_pkg.services.images.registry_tokens import RegistryTokens
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.fakes.sources import FakeSources
from tests.support.databases import connection_of, prepare_database
from tests.support.git_worker import GIT_WORKER
from tests.support.parts import engine_on, fake_runtime, limited_to

PASSWORD = "correct horse battery staple"
PASSWORD_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
COMMIT = "c0ffee" + "0" * 34


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reference(self) -> str:
        """The reference of a problem document."""
        return str(self.json["reference"])


@dataclass(slots=True)
class Caller:
    """A client with its credentials. socket: the unix socket to connect to; None for TCP."""

    name: str
    address: str
    socket: Path | None = None
    headers: dict[str, str] = field(default_factory=dict)
    insecure: bool = False
    """Whether the certificate is not checked."""

    async def reachable(self, path: str) -> int:
        """The status of a request; 0 where no server answers."""
        try:
            return (await self.get(path)).status
        except aiohttp.ClientConnectionError:
            return 0

    async def send(
        self, method: str, path: str, body: object = None, *, data: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        connector = (
            aiohttp.UnixConnector(str(self.socket)) if self.socket else aiohttp.TCPConnector(ssl=not self.insecure)
        )
        jar = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False) as session,
            session.request(
                method,
                self.address + path,
                json=body,
                data=data,
                headers={**self.headers, **headers},
                skip_auto_headers=("accept-encoding",),
                allow_redirects=False,
            ) as response,
        ):
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("GET", path, headers=named)

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, body if body is not None else {}, headers=named)


class StandingDex:
    """A stub of `core.identity.ports.DexRunner`, for a Dex that the test runs: it does nothing."""

    async def apply(self, configuration: str) -> None: ...

    def restart(self) -> None: ...

    def last_failure(self) -> str:
        return ""


class Api:
    """A running HTTP server with its services and store."""

    def __init__(self, parts: ServerParts, path: Path, opened: HttpParts) -> None:
        self.parts = parts
        self.path = path
        self.address = opened.address
        self.services = opened.services
        self.store = parts.identity.access
        self.anonymous = Caller("anonymous", opened.address)
        self.local = Caller("local", "http://danube", path / "danube.sock")

    def write(self, sql: str, *values: object) -> None:
        """Change the database directly, as applying a configuration would."""
        connection_of(self.parts.store.database).execute(sql, values)

    def team(self, name: str, *, global_admin: bool = False) -> None:
        self.write(
            "INSERT INTO teams (id, name, created_at, global_admin) VALUES (?, ?, 0, ?)", name, name, int(global_admin)
        )

    def pipeline(self, name: str, *, owner: str = "", levels: Mapping[str, str] = {}) -> None:
        self.write(
            "INSERT INTO pipelines (id, name, team, repo_url, created_at, updated_at, settings) VALUES (?, ?, ?, '', 0, 0, ?)",
            f"id-{name}",
            name,
            owner,
            json.dumps({"repository": "/nowhere", "network": "none"}),
        )
        for team, level in levels.items():
            self.write("INSERT INTO pipeline_permissions VALUES (?, ?, ?)", f"id-{name}", team, level)

    def user(self, name: str, **teams: str) -> None:
        """Add a user. teams: the role in each team, by the team's name."""
        self.write(
            "INSERT INTO users (id, email, name, created_at, updated_at, password_hash) VALUES (?, ?, ?, 0, 0, ?)",
            name,
            f"{name}@example.com",
            name,
            PASSWORD_HASH,
        )
        for team, role in teams.items():
            self.write("INSERT INTO team_members VALUES (?, ?, ?)", team, name, role)

    async def caller(self, name: str, **teams: str) -> Caller:
        """Add a user, and return a caller with its token for every scope."""
        self.user(name, **teams)
        return await self.with_token(name, *Scope)

    async def with_token(self, name: str, *scopes: Scope, days: int = 1) -> Caller:
        text, _ = await self.tokens().create(name, "test", frozenset(scopes), days)
        return Caller(name, self.address, headers={"authorization": f"Bearer {text}"})

    def tokens(self) -> Tokens:
        database = self.parts.store.database
        parts = BearerParts(self.store, self.parts.store.clock, self.parts.store.new_id, os.urandom, lambda: "")
        return Tokens(SqliteTokens(database), parts)

    async def with_session(self, name: str, *, age_seconds: float = 0.0) -> Caller:
        """The browser of a user who logged in so long ago."""
        secret = new_secret(SESSION_PREFIX, os.urandom(32))
        at = self.parts.store.clock.now() - age_seconds
        session = BrowserSession(self.parts.store.new_id(), name, "password", (), "", "test", at, at, at + 3600)
        await SqliteSessions(self.parts.store.database).add_session(session, secret_hash(secret))
        headers = {"cookie": f"danube_session={secret}", "x-csrf-token": csrf_token(secret)}
        return Caller(name, self.address, headers=headers)

    async def job(self, pipeline: str, **changes: Any) -> Job:
        """A job in the store: closed and successful, except for `changes`."""
        now = self.parts.store.clock.now()
        job = Job(
            id=self.parts.store.new_id(),
            pipeline_id=f"id-{pipeline}",
            pipeline=pipeline,
            trigger=Trigger("manual", "carol", Revision(COMMIT, branch="main")),
            settings=PipelineSettings("/nowhere"),
            created_at=now,
            phase=Phase.CLOSED,
            status=Status.SUCCESS,
            reason=Reason.NONE,
            started_at=now,
            finished_at=now,
        )
        job = replace(job, **changes)
        await self.parts.store.jobs.create_jobs([job])
        return job

    async def open_job(self, pipeline: str, *, fork: bool = False) -> Job:
        """A job that stays in the queue, since this server starts none."""
        known = await self.parts.store.pipelines.load_pipeline(pipeline)
        assert isinstance(known, Pipeline)
        trigger = Trigger("webhook", "carol", Revision(COMMIT), pull_request={"fork": True} if fork else None)
        reason = Reason.APPROVAL_REQUIRED if fork else Reason.QUEUED
        return await self.parts.jobs.engine.submit(known, trigger, reason=reason)

    async def log(self, job_id: str, data: bytes) -> None:
        """Write a job's complete log."""
        log = self.parts.jobs.logs.open(job_id, patterns=NO_PATTERNS, limit_bytes=1 << 30)
        output = log.step_output(1, 1)
        output.feed(output.raw_offset, data)
        await log.close()


def _dex(settings: DexSettings, store: Store, applied: AppliedConfiguration, stack: AsyncExitStack) -> Dex:
    upstream = HttpUpstream(settings.url)
    stack.push_async_callback(upstream.close)
    return Dex(settings, SqliteAccess(store.database), StandingDex(), upstream, applied, store.timing)


def access_on(
    store: Store, applied: AppliedConfiguration, secrets: Secrets, sources: FakeSources, repository: ConfigRepository
) -> ForgeAccess:
    """How the server reaches forges; no connection is open until a test makes it call one."""
    api = HttpForges()
    key = str(store.directory / "key")
    credentials = ConfiguredCredentials(applied, repository, secrets, api, store.clock, key)
    return ForgeAccess(sources, api, credentials, "ssh-ed25519 AAAA danube", "http://127.0.0.1:8080")


def _configuration(store: Store, applied: AppliedConfiguration, repository: ConfigRepository) -> ConfigurationSync:
    Path(repository.url).mkdir(exist_ok=True)
    source = ConfigurationDirectory(repository, GitSources(store.directory / "repos", worker=GIT_WORKER))
    configured = SqliteConfiguration(store.database, store.new_id)
    return ConfigurationSync(repository, source, configured, applied, store.timing)


def _observed(
    store: Store, jobs: EngineParts, configuration: ConfigurationSync, dex: Dex | None, audit: Audit
) -> Observed:
    return Observed(
        store, jobs, GitSources(store.directory / "mirrors", worker=GIT_WORKER).mirrors, configuration, dex, audit
    )


@asynccontextmanager
async def open_api(
    path: Path,
    *,
    oidc: ClientSettings | Callable[[], ClientSettings | None] | None = None,
    dex: DexSettings | None = None,
    people: Sequence[str] = (),
    registry_tokens: Callable[[Store], RegistryTokens] | None = None,
    **settings: Any,
) -> AsyncIterator[Api]:
    """An HTTP server on loopback and on a unix socket below `path`. oidc: the issuer for logins, or what finds it at
    each one. people: users to add."""

    async def client() -> ClientSettings | None:
        return client_of()

    def client_of() -> ClientSettings | None:
        return oidc() if callable(oidc) else oidc

    def issuer() -> str:
        found = client_of()
        return found.issuer if found is not None else ""

    async with AsyncExitStack() as stack:
        (path / "config").mkdir(parents=True, exist_ok=True)
        prepare_database(path / "danube.db")
        store = await stack.enter_async_context(open_store(path))
        open_deploy_key(path / "keys")
        applied = limited_to(0)
        audit = build_audit(store)
        secrets = build_secrets(store, applied, KnownValues(), audit=audit)
        sources = FakeSources(COMMIT, missing_refs=["gone"])
        jobs = engine_on(store, applied, fake_runtime(path), sources, secrets=secrets)
        tokens = registry_tokens(store) if registry_tokens is not None else None
        jobs = replace(jobs, images=replace(jobs.images, registry_tokens=tokens))
        await jobs.draining.recall()
        await stack.enter_async_context(jobs.engine.running())
        repository = ConfigRepository(str(path / "config"))
        configuration = _configuration(store, applied, repository)
        access_to = access_on(store, applied, secrets, sources, repository)
        access = Access(SqliteAccess(store.database), applied)
        own_dex = _dex(dex, store, applied, stack) if dex is not None else None
        parts = ServerParts(
            store=store,
            jobs=jobs,
            triggers=build_triggers(store, jobs, access_to, configuration),
            identity=await stack.enter_async_context(open_logins(store, access, own_dex, client, issuer)),
            configuration=configuration,
            health=await stack.enter_async_context(open_health(_observed(store, jobs, configuration, own_dex, audit))),
            audit=audit,
            retention=build_retention(store, applied, audit, jobs.draining, caches=jobs.files.caches),
            files=sources,
            deploy_key="ssh-ed25519 AAAA danube",
            telemetry=await stack.enter_async_context(open_telemetry(store, applied, secrets.known)),
        )
        opened = await stack.enter_async_context(open_http(parts, HttpOptions("127.0.0.1:0", **settings)))
        api = Api(parts, path, opened)
        for name in people:
            api.user(name)
        yield api
