"""Secrets: values can be set, and are never returned."""

from danube_pkg.core.errors import NotFound
from danube_pkg.core.secrets.secret import (
    MAX_VALUE_BYTES,
    SecretName,
    StoredSecret,
    check_key,
    warnings_about,
)
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.secrets import LastRead, SecretList, SecretStored, SecretView, UsedSecrets
from danube_pkg.kit.times import iso


class SecretNames(Resource):
    """`/api/v1/secrets` and `/api/v1/pipelines/{pipeline}/secrets`."""

    async def GET(self, request: Request) -> SecretList:
        """Names of secrets, when they were set, and which job read each one last."""
        found = await self.services.secrets.list(request.arguments.get("pipeline"))
        return SecretList(tuple([await self._view(one) for one in found]))

    async def _view(self, secret: StoredSecret) -> SecretView:
        secrets, name = self.services.secrets, secret.name
        read = await secrets.last_read(name)
        return SecretView(
            key=name.key,
            pipeline=name.pipeline,
            created_at=iso(secret.created_at),
            updated_at=iso(secret.updated_at),
            for_server=secrets.is_for_server(name),
            last_read=LastRead(iso(read.at), read.job_id, read.pipeline) if read is not None else None,
        )


class OneSecret(Resource):
    """`/api/v1/secrets/{key}` and `/api/v1/pipelines/{pipeline}/secrets/{key}`."""

    @answers(200, refuses=(413,), takes="application/octet-stream")
    async def PUT(self, request: Request) -> SecretStored:
        """Set a secret. Its value is the body, byte for byte."""
        name, value = _name(request), await request.read_body(MAX_VALUE_BYTES)
        await self.services.secrets.set(name, value, request.actor.name)
        return SecretStored(warnings_about(value))

    @answers(204)
    async def DELETE(self, request: Request) -> None:
        """Remove a secret. Jobs that could have read it still mask its value in their logs."""
        name = _name(request)
        if not await self.services.secrets.delete(name, request.actor.name):
            raise NotFound("secret-not-set", f"there is no secret {name}", hint="danube secrets list")


class JobSecrets(Resource):
    """`/api/v1/jobs/{job}/secrets`."""

    async def GET(self, request: Request) -> UsedSecrets:
        """The names of the secrets that a job has read."""
        return UsedSecrets(tuple(await self.services.secrets.used_by(request.job.id)))


def _name(request: Request) -> SecretName:
    return SecretName(request.arguments.get("pipeline"), check_key(request.arguments["key"]))
