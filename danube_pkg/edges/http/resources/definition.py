"""A pipeline's definition and its danubefile."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import NotFound
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.configuration import finding_view
from danube_pkg.edges.http.views.definition import DefinitionView, outline_view
from danube_pkg.edges.http.views.forge_links import line_url, pages_of
from danube_pkg.kit.records import Record


class DefinitionQuery(Record):
    """Which danubefile."""

    ref: Annotated[str, rule("A branch, a tag or a commit; empty for the default branch.")] = ""


class PipelineDefinitionResource(Resource):
    """`/api/v1/pipelines/{pipeline}/definition`."""

    @answers(200, refuses=(400, 503))
    async def GET(self, request: Request, query: DefinitionQuery) -> DefinitionView:
        """The place of a pipeline's definition, and what its danubefile contains. The danubefile is not run."""
        name = request.arguments["pipeline"]
        pipeline = await self.services.pipelines.load_pipeline(name)
        if pipeline is None:
            raise NotFound("pipeline-unknown", f"there is no pipeline {name!r}", hint="danube pipelines")
        applied = self.services.configuration.applied
        definition = applied.state.pipelines.get(name)
        found = await self.services.configuration.outlines.outline(pipeline, query.ref)
        commit_sha = found.revision.commit_sha
        pages = pages_of(pipeline.settings.repository, applied)
        return DefinitionView(
            place=str(definition.place) if definition is not None else "",
            revision=applied.revision.revision,
            commit_sha=commit_sha,
            branch=found.revision.branch,
            script_url=pages.file(commit_sha, pipeline.settings.script) if pages is not None else "",
            outline=outline_view(found.outline) if found.outline is not None else None,
            findings=tuple(finding_view(one, line_url(pages, commit_sha, one.place)) for one in found.findings),
        )
