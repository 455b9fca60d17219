"""The commit status APIs of forges, served on loopback: their checks, their answers, and their failures.

GitHub: `POST /repos/O/R/statuses/SHA`, `POST /app/installations/ID/access_tokens`. GitLab: `POST
/projects/ID/statuses/SHA` with its states' transitions. Gitea and Forgejo: `POST /repos/O/R/statuses/SHA` below
`/api/v1`.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

TOKEN = "a-token-of-the-forge"
INSTALLATION_TOKEN = "ghs_an-installation-token"
APP_ID, INSTALLATION_ID = "4711", "99"

GITHUB_STATES = {"error", "failure", "pending", "success"}
GITEA_STATES = GITHUB_STATES | {"warning"}
GITLAB_STATES = {"pending", "running", "success", "failed", "canceled", "skipped"}


@dataclass(frozen=True)
class Answer:
    """An answer of the forge in place of its normal one."""

    status: int
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    done_before: bool = False
    """Whether the request was processed before, as if its own answer had been lost."""


@dataclass
class Forge:
    """statuses: those it accepted, in order: (sha, context, state, description). answers: the next ones, in order."""

    url: str = ""
    statuses: list[tuple[str, str, str, str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    token: str = TOKEN
    app_key: RSAKey | None = None
    tokens_made: int = 0
    """How many tokens of the App's installation were issued."""
    now: Callable[[], float] = time.time

    def states(self, sha: str = "") -> list[str]:
        return [state for at, _, state, _ in self.statuses if not sha or at == sha]

    async def github(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        return await self._take(request, body, f"Bearer {self.token}", "Authorization", GITHUB_STATES, 140)

    async def gitea(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        return await self._take(request, body, f"token {self.token}", "Authorization", GITEA_STATES, 10_000)

    async def gitlab(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        known = [state for sha, context, state, _ in self.statuses if (sha, context) == self._key(request, body)]
        if (
            known
            and known[-1] == body["state"]
            and request.headers.get("PRIVATE-TOKEN") == self.token
            and not self.answers
        ):
            verb = {"pending": "enqueue", "running": "run"}.get(body["state"], "finish")
            reason = f"Cannot transition status via :{verb} from :{body['state']} (Reason(s): Status cannot transition)"
            return web.json_response({"message": reason}, status=400)
        return await self._take(request, body, self.token, "PRIVATE-TOKEN", GITLAB_STATES, 255)

    async def installation(self, request: web.Request) -> web.Response:
        """Issue a token to the App, which a JWT proves."""
        assert self.app_key is not None
        named = request.headers["Authorization"].removeprefix("Bearer ")
        claims: dict[str, Any] = jwt.decode(named, self.app_key, algorithms=["RS256"]).claims
        assert claims["iss"] == APP_ID
        assert claims["exp"] - claims["iat"] <= 600
        assert request.match_info["installation"] == INSTALLATION_ID
        self.tokens_made += 1
        expires = datetime.fromtimestamp(self.now() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": INSTALLATION_TOKEN, "expires_at": expires}, status=201)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append(body)
        return body

    def _key(self, request: web.Request, body: Mapping[str, Any]) -> tuple[str, str]:
        return request.match_info["sha"], body.get("context") or body.get("name") or "default"

    async def _take(
        self, request: web.Request, body: dict[str, Any], proof: str, header: str, states: set[str], longest: int
    ) -> web.Response:
        if request.headers.get(header) != proof:
            return web.json_response({"message": "Bad credentials"}, status=401)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None and not answer.done_before:
            return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
        if body.get("state") not in states:
            return web.json_response({"message": f"state {body.get('state')} is not included in the list"}, status=422)
        if len(body.get("description") or "") > longest:
            return web.json_response({"message": "description is too long"}, status=422)
        sha, context = self._key(request, body)
        self.statuses.append((sha, context, body["state"], body.get("description", "")))
        if answer is not None:
            return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
        return web.json_response({"id": len(self.statuses), "state": body["state"], "context": context}, status=201)


@asynccontextmanager
async def served_forge() -> AsyncIterator[Forge]:
    """All four APIs on one address of loopback."""
    forge = Forge()
    app = web.Application()
    app.router.add_post("/api/v3/repos/{owner}/{name}/statuses/{sha}", forge.github)
    app.router.add_post("/api/v3/app/installations/{installation}/access_tokens", forge.installation)
    app.router.add_post("/api/v4/projects/{project}/statuses/{sha}", forge.gitlab)
    app.router.add_post("/api/v1/repos/{owner}/{name}/statuses/{sha}", forge.gitea)
    async with _serving(app) as forge.url:
        yield forge


@dataclass
class Receiver:
    """A receiver of webhooks. got: (headers, body) of each request; answers: the next ones, in order."""

    url: str = ""
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({key.lower(): value for key, value in request.headers.items()}, await request.read()))
        if self.answers:
            answer = self.answers.pop(0)
            return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
        return web.Response(text="ok")

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def served_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    async with _serving(app) as address:
        receiver.url = f"{address}/services/T0/B0/secret-part"
        yield receiver


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
