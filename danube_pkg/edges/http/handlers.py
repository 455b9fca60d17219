"""One class a resource, one method a verb. Each parses, calls one service or reads one port, and renders."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from danube_pkg.core.errors import Invalid, NotFound
from danube_pkg.core.jobs import Job
from danube_pkg.core.reasons import Status
from danube_pkg.core.secrets import MAX_VALUE_BYTES, SecretName, check_key
from danube_pkg.edges.http import representations as show
from danube_pkg.edges.http.messages import Request, Response, json_response
from danube_pkg.edges.http.ranges import requested_range
from danube_pkg.edges.http.services import Services

TRIGGER_BYTES = 64 * 1024
MAX_PAGE = 200
FILE_CHUNK_BYTES = 256 * 1024


class Resource:
    """What every resource has: the services, and no state of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def job(self, request: Request) -> Job:
        job = await self.services.jobs.load_job(request.arguments["job"])
        if job is None:
            raise NotFound("job-unknown", f"there is no job {request.arguments['job']!r}", hint="danube jobs")
        return job


class Health(Resource):
    """Whether the process answers at all; no login."""

    async def GET(self, request: Request) -> Response:
        return json_response({"status": "ok"})


class Readiness(Resource):
    """Whether it can do its work: the database answers; no login."""

    async def GET(self, request: Request) -> Response:
        await self.services.jobs.list_jobs(limit=1)
        return json_response({"status": "ready"})


class Me(Resource):
    """Who the caller is."""

    async def GET(self, request: Request) -> Response:
        return json_response({"name": request.actor.name, "role": request.actor.role})


class Pipelines(Resource):
    """What the configuration defines."""

    async def GET(self, request: Request) -> Response:
        pipelines = await self.services.pipelines.list_pipelines()
        return json_response({"pipelines": [show.pipeline_view(pipeline) for pipeline in pipelines]})


class PipelineJobs(Resource):
    """The jobs of one pipeline: new ones are made here."""

    async def POST(self, request: Request) -> Response:
        """Trigger: `{"ref": …, "params": {…}}`."""
        body = await request.json_object(TRIGGER_BYTES)
        ref, params = body.get("ref") or "", body.get("params") or {}
        texts = isinstance(params, dict) and all(isinstance(value, str) for value in params.values())
        if not isinstance(ref, str) or not texts:
            raise Invalid("trigger-invalid", "a trigger takes a text `ref` and an object `params` of texts")
        job = await self.services.engine.trigger(
            request.arguments["pipeline"], ref=ref, params=params, actor=request.actor.name
        )
        return json_response(show.job_summary(job), 201)


class Jobs(Resource):
    """All jobs, newest first, by pages: `pipeline`, `status`, `cursor`, `limit`."""

    async def GET(self, request: Request) -> Response:
        status = request.query.get("status")
        if status is not None and status not in set(map(str, Status)):
            raise Invalid("query-invalid", f"status={status!r} is none of {', '.join(Status)}")
        limit = request.integer("limit", 50, low=1, high=MAX_PAGE)
        jobs = await self.services.jobs.list_jobs(
            pipeline=request.query.get("pipeline"), status=status, before=request.query.get("cursor"), limit=limit
        )
        cursor = jobs[-1].id if len(jobs) == limit else None
        return json_response({"jobs": [show.job_summary(job) for job in jobs], "cursor": cursor})


class OneJob(Resource):
    """A job with its steps."""

    async def GET(self, request: Request) -> Response:
        return json_response(show.job_detail(await self.job(request)))


class JobCancel(Resource):
    """The end of a job that somebody wants; it is asked for, not waited for."""

    async def POST(self, request: Request) -> Response:
        job = await self.services.engine.cancel(request.arguments["job"], request.actor.name)
        return json_response(show.job_summary(job), 202)


class JobLog(Resource):
    """A job's log as it lies on disk, redacted."""

    async def GET(self, request: Request) -> Response:
        """Plain text; `Range` of bytes; `?step=N` for one step alone."""
        job = await self.job(request)
        step = request.integer("step", 0, low=1, high=100_000) if "step" in request.query else None
        size = self.services.logs.size(job.id, step=step)
        status, begin, end, headers = requested_range(request.headers.get("range"), size)
        headers += (("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff"))
        return Response(status, self._parts(job.id, begin, end, step), (*headers, ("content-length", str(end - begin))))

    async def _parts(self, job_id: str, begin: int, end: int, step: int | None) -> AsyncIterator[bytes]:
        while begin < end:
            part = await self.services.logs.read(job_id, begin, min(end, begin + FILE_CHUNK_BYTES), step=step)
            if not part:
                return
            yield part
            begin += len(part)


class Artifacts(Resource):
    """What a job kept: names, sizes, digests."""

    async def GET(self, request: Request) -> Response:
        artifacts = await self.services.artifacts.list((await self.job(request)).id)
        return json_response({"artifacts": [show.artifact_view(artifact) for artifact in artifacts]})


class OneArtifact(Resource):
    """An artifact's bytes; `Range` of bytes; its digest is the entity tag."""

    async def GET(self, request: Request) -> Response:
        artifact = await self.services.artifacts.find(request.arguments["job"], request.arguments["artifact"])
        path = Path(self.services.artifact_directory) / artifact.job_id / artifact.file_name
        status, begin, end, headers = requested_range(request.headers.get("range"), artifact.size_bytes)
        headers += (
            ("content-type", "application/octet-stream"),
            ("content-disposition", f"attachment; filename*=UTF-8''{quote(artifact.file_name)}"),
            ("etag", f'"sha256:{artifact.sha256}"'),
            ("content-length", str(end - begin)),
        )
        return Response(status, _file(path, begin, end), headers)


async def _file(path: Path, begin: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (chunk := file.read(min(FILE_CHUNK_BYTES, end - begin))):
            yield chunk
            begin += len(chunk)


class SecretNames(Resource):
    """Names and times; values go in, never out."""

    async def GET(self, request: Request) -> Response:
        secrets = await self.services.secrets.list(request.arguments.get("pipeline"))
        return json_response({"secrets": [show.secret_view(secret) for secret in secrets]})


class OneSecret(Resource):
    """A secret of all pipelines or of one: set and removed, never read."""

    async def PUT(self, request: Request) -> Response:
        value = await request.read_body(MAX_VALUE_BYTES)
        await self.services.secrets.set(_name(request), value, request.actor.name)
        return Response(204)

    async def DELETE(self, request: Request) -> Response:
        if not await self.services.secrets.delete(_name(request), request.actor.name):
            raise NotFound("secret-not-set", f"there is no secret {_name(request)}", hint="danube secrets list")
        return Response(204)


def _name(request: Request) -> SecretName:
    return SecretName(request.arguments.get("pipeline"), check_key(request.arguments["key"]))
