"""Secrets: names and times come out, values only go in."""

from dataclasses import dataclass

from danube_pkg.core.errors import NotFound
from danube_pkg.core.secrets import MAX_VALUE_BYTES, SecretName, StoredSecret, check_key
from danube_pkg.edges.http.messages import Request
from danube_pkg.edges.http.models import Time, iso
from danube_pkg.edges.http.resource import Resource, answers


@dataclass(frozen=True, slots=True)
class SecretView:
    """`pipeline` is null for one that every pipeline may read."""

    key: str
    pipeline: str | None
    created_at: Time
    updated_at: Time


@dataclass(frozen=True, slots=True)
class SecretList:
    """Of one pipeline, or of all."""

    secrets: tuple[SecretView, ...]


class SecretNames(Resource):
    """`/api/v1/secrets` and `/api/v1/pipelines/{pipeline}/secrets`."""

    async def GET(self, request: Request) -> SecretList:
        """Names and times."""
        return SecretList(tuple(map(_view, await self.services.secrets.list(request.arguments.get("pipeline")))))


class OneSecret(Resource):
    """`/api/v1/secrets/{key}` and `/api/v1/pipelines/{pipeline}/secrets/{key}`."""

    @answers(204, refuses=(413,), takes="application/octet-stream")
    async def PUT(self, request: Request) -> None:
        """Set a value: the body, byte for byte."""
        name = _name(request)
        await self.services.secrets.set(name, await request.read_body(MAX_VALUE_BYTES), request.actor.name)

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """Remove a value. Logs of jobs that could have read it go on masking it."""
        name = _name(request)
        if not await self.services.secrets.delete(name, request.actor.name):
            raise NotFound("secret-not-set", f"there is no secret {name}", hint="danube secrets list")


@dataclass(frozen=True, slots=True)
class UsedSecrets:
    """Names, in the order in which the job asked for them first."""

    keys: tuple[str, ...]


class JobSecrets(Resource):
    """`/api/v1/jobs/{job}/secrets`."""

    async def GET(self, request: Request) -> UsedSecrets:
        """Which secrets a job has read, by name."""
        return UsedSecrets(tuple(await self.services.secrets.used_by(request.job.id)))


def _name(request: Request) -> SecretName:
    return SecretName(request.arguments.get("pipeline"), check_key(request.arguments["key"]))


def _view(secret: StoredSecret) -> SecretView:
    return SecretView(secret.name.key, secret.name.pipeline, iso(secret.created_at), iso(secret.updated_at))
