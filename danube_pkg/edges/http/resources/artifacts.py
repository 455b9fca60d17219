"""What jobs kept: lists and downloads."""

from urllib.parse import quote

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.bodies import Time, iso
from danube_pkg.edges.http.server.caching import revalidated
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.ranges import requested_range
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.kit.records import Record


class ArtifactView(Record):
    """`file_name` ends with .tar.gz for a directory."""

    name: str
    file_name: str
    size_bytes: int
    sha256: str
    created_at: Time


class ArtifactList(Record):
    """All that a job kept."""

    artifacts: tuple[ArtifactView, ...]


class ArtifactsResource(Resource):
    """`/api/v1/jobs/{job}/artifacts`."""

    async def GET(self, request: Request) -> ArtifactList:
        """A job's artifacts."""
        return ArtifactList(tuple(map(_view, await self.services.artifacts.list(request.job.id))))


class OneArtifact(Resource):
    """`/api/v1/jobs/{job}/artifacts/{artifact}`."""

    @answers(200, 206, 304, content="application/octet-stream", refuses=(416,))
    async def GET(self, request: Request) -> Response:
        """The bytes; `Range`, and `If-Range` with the ETag, for a download that was cut."""
        artifact = await self.services.artifacts.find(request.job.id, request.arguments["artifact"])
        etag = f'"sha256:{artifact.sha256}"'
        if revalidated(request, etag):
            return Response(304, b"", (("etag", etag),))
        if not self.services.artifacts.has_bytes(artifact):
            raise NotFound(
                "artifact-gone",
                f"the file of {artifact.name!r} is not kept any more",
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
        return Response(status, self.services.artifacts.read(artifact, begin, end), headers)


def _view(artifact: Artifact) -> ArtifactView:
    return ArtifactView(
        artifact.name, artifact.file_name, artifact.size_bytes, artifact.sha256, iso(artifact.created_at)
    )
