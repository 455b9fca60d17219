"""Provenance of jobs and artifacts: the signed statement, as it was stored when the job ended."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.provenance.envelope import BUNDLE_TYPE, read_envelopes
from danube_pkg.edges.http.resources.logs import check_log
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.kit.records import Record, encode_json

LINES_TYPE = "application/jsonl"


class ProvenanceFormat(StrEnum):
    """The same envelope: as a line of a file that ends with `.intoto.jsonl`, or in a Sigstore bundle."""

    INTOTO = "intoto"
    BUNDLE = "bundle"


class ProvenanceQuery(Record):
    """In which form."""

    format: Annotated[
        ProvenanceFormat, rule("`intoto`: a DSSE envelope in one line. `bundle`: a Sigstore bundle, version 0.3.")
    ] = ProvenanceFormat.INTOTO


class JobProvenance(Resource):
    """`/api/v1/jobs/{job}/provenance`."""

    @answers(200, content=LINES_TYPE, refuses=(404, 409))
    async def GET(self, request: Request, query: ProvenanceQuery) -> Response:
        """The signed statement about a job and all of its artifacts: in-toto Statement v1 with SLSA provenance v1."""
        return await self.respond(request, query, request.job.id)

    async def respond(self, request: Request, query: ProvenanceQuery, name: str) -> Response:
        """The statement of the request's job as a download. name: the file's, without its extension."""
        data = (await self.services.provenance.statements.of(request.job)).envelope
        kind, extension = LINES_TYPE, "intoto.jsonl"
        if query.format is ProvenanceFormat.BUNDLE:
            data = encode_json(read_envelopes(data)[0].bundle())
            kind, extension = BUNDLE_TYPE, "sigstore.json"
        headers = (
            ("content-type", kind),
            ("content-disposition", f"attachment; filename*=UTF-8''{quote(f'{name}.{extension}')}"),
            ("cache-control", "private, no-cache"),
        )
        return Response(200, data + b"\n", headers)


class JobExport(Resource):
    """`/api/v1/jobs/{job}/export`."""

    @answers(200, content="application/x-tar", refuses=(404, 409))
    async def GET(self, request: Request) -> Response:
        """A tar archive with provenance, sealed records, log and egress ledger, for `danube verify --job`."""
        await check_log(self.services, request.job)
        headers = (
            ("content-type", "application/x-tar"),
            ("content-disposition", f"attachment; filename*=UTF-8''{request.job.id}.tar"),
        )
        return Response(200, await self.services.provenance.exports.export(request.job), headers)


class ArtifactProvenance(JobProvenance):
    """`/api/v1/jobs/{job}/artifacts/{artifact}/provenance`."""

    @answers(200, content=LINES_TYPE, refuses=(404, 409))
    async def GET(self, request: Request, query: ProvenanceQuery) -> Response:
        """The signed statement about an artifact: that of its job, which has all of the job's artifacts."""
        artifact = await self.services.storage.artifacts.find(request.job.id, request.arguments["artifact"])
        return await self.respond(request, query, artifact.file_name)
