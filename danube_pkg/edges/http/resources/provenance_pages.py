"""The pages that URIs in provenance name, under the same paths as at https://danube.dev: of build types, builders and
attestations. A verifier that meets a URI reads at the server that signed it what it means.
"""

from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.caching import entity_tag, unless_known
from danube_pkg.edges.http.server.messages import Request, Response
from danube_pkg.edges.http.server.resource import Resource, answers

MARKDOWN_TYPE = "text/markdown; charset=utf-8"


class ProvenancePage(Resource):
    """`/builders/{page}/v1`, and of build types and attestations."""

    folder = "builders"

    @answers(200, 304, content=MARKDOWN_TYPE, refuses=(404,))
    async def GET(self, request: Request) -> Response:
        """What a URI in provenance means, as a page in Markdown."""
        page = request.arguments["page"]
        directory = self.services.site.pages_directory
        pages = {one.name: one for one in (directory / self.folder).glob("*.md")} if directory is not None else {}
        if (file := pages.get(f"{page}-v1.md")) is None:
            raise NotFound(
                "page-unknown",
                f"this server has no page {self.folder}/{page}/v1",
                hint="the pages of this version are in docs/builders, docs/buildtypes and docs/attestations",
            )
        body = file.read_bytes()
        headers = (("content-type", MARKDOWN_TYPE), ("etag", entity_tag(body)), ("cache-control", "no-cache"))
        return unless_known(request, Response(200, body, headers))


class BuildTypePage(ProvenancePage):
    """`/buildtypes/{page}/v1`."""

    folder = "buildtypes"


class AttestationPage(ProvenancePage):
    """`/attestations/{page}/v1`."""

    folder = "attestations"
