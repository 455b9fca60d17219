"""Artifacts of jobs: lists and downloads."""

from urllib.parse import quote

from danube_pkg.core.errors import NotFound
from danube_pkg.core.retention.plan import FileKind
from danube_pkg.edges.http.server.caching import revalidated
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.ranges import requested_range
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.artifacts import ArtifactList, artifact_list
from danube_pkg.kit.times import iso


class ArtifactsResource(Resource):
    """`/api/v1/jobs/{job}/artifacts`."""

    async def GET(self, request: Request) -> ArtifactList:
        """A job's artifacts, and whether they have provenance."""
        job, services = request.job, self.services
        images = await services.images.builds.list_pushed(job.id)
        return artifact_list(
            await services.storage.artifacts.list(job.id), images, await services.provenance.statements.find(job)
        )


class OneArtifact(Resource):
    """`/api/v1/jobs/{job}/artifacts/{artifact}`."""

    @answers(200, 206, 304, content="application/octet-stream", refuses=(409, 416))
    async def GET(self, request: Request) -> Response:
        """The artifact's bytes, once its job has ended and its provenance is signed. `Range` with the ETag in
        `If-Range` continues a download."""
        artifact = await self.services.storage.artifacts.find(request.job.id, request.arguments["artifact"])
        await self.services.provenance.statements.check_released(request.job)
        etag = f'"sha256:{artifact.sha256}"'
        if revalidated(request, etag):
            return Response(304, b"", (("etag", etag),))
        removed_at = (await self.services.storage.retention.of_job(request.job.id)).removed_at.get(FileKind.ARTIFACTS)
        if removed_at is not None:
            raise NotFound(
                "artifact-removed",
                f"the artifacts of this job were removed on {iso(removed_at)[:10]}",
                cause="artifacts are kept for retention.artifacts_days, and up to retention.artifacts_gb together",
                hint="run the job again: danube rerun JOB; keep files before they are due: danube jobs keep JOB",
            )
        if not self.services.storage.artifacts.has_bytes(artifact):
            raise NotFound(
                "artifact-gone",
                f"the file of the artifact {artifact.name!r} was deleted",
                hint="run the job again: danube rerun JOB",
            )
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        status, begin, end, headers = requested_range(wanted, artifact.size_bytes)
        headers += (
            ("content-type", "application/octet-stream"),
            ("content-disposition", f"attachment; filename*=UTF-8''{quote(artifact.file_name)}"),
            ("etag", etag),
            ("cache-control", "private, no-cache"),
            ("content-length", str(end - begin)),
        )
        return Response(status, self.services.storage.artifacts.read(artifact, begin, end), headers)
