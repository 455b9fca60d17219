"""The configuration as the server sees it, a look at it now, and what files that somebody sends would change."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.configuration.plan import ConfigurationPlan, describe_change
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.danubefile import Outline
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import NotFound, PlatformError
from danube_pkg.core.repositories.forge_links import ForgePages
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.edges.http.server.bodies import Time, iso_or_none
from danube_pkg.edges.http.server.messages import Request
from danube_pkg.edges.http.server.resource import Resource, answers
from danube_pkg.edges.http.views.forge_links import commit_url, file_url, pages_of
from danube_pkg.kit.records import Record

PLAN_BYTES = 16 * 1024**2
"""Thousands of pipelines; what is larger is planned in parts."""


class FindingView(Record):
    """One mistake: `place` is file:line; `url`: that at the forge, empty where it is not known."""

    place: str
    what: str
    hint: str
    url: str = ""


class ConditionView(Record):
    """What is not as the configuration wants it, without being a mistake: a secret not set yet, a restart that is needed."""

    reference: str
    what: str
    hint: str


class ConfigurationView(Record):
    """Which revision is in force, which was seen last, and what is wrong with that one. `problem`: why it could not be
    read at all, null where it could. `deploy_key`: the public half of the key that reads repositories by ssh. `applied_url`
    and `seen_url`: the commits at the forge, empty where that is not known."""

    ok: bool
    repository: str
    branch: str
    applied_revision: str
    applied_url: str
    applied_at: Time | None
    seen_revision: str
    seen_url: str
    checked_at: Time | None
    problem: FindingView | None
    findings: tuple[FindingView, ...]
    conditions: tuple[ConditionView, ...]
    deploy_key: str


class ChangeView(Record):
    """action: add, change or remove; `lines` say it for people, field by field."""

    action: str
    kind: str
    name: str
    lines: tuple[str, ...]


class GrantView(Record):
    """A person's level on a pipeline before and after, null for none; `everything` stands for a global administrator's."""

    email: str
    pipeline: str
    before: str | None
    after: str | None


class PlanView(Record):
    """`secrets`: names that the configuration has not had before."""

    ok: bool
    findings: tuple[FindingView, ...]
    changes: tuple[ChangeView, ...]
    grants: tuple[GrantView, ...]
    secrets: tuple[str, ...]


class PlanFiles(Record):
    """The texts of a configuration's files by their names: `config.yaml`, `pipelines/app.yaml`."""

    files: Annotated[Mapping[str, str], rule(most=10_000)]


class StepOutlineView(Record):
    """One call that makes a step; "…" stands for what is computed. image: "" is the pipeline's own."""

    name: str
    image: str
    line: int


class NamedView(Record):
    """A secret or an artifact that the danubefile names."""

    name: str
    line: int


class OutlineView(Record):
    """What a danubefile says of itself. name: what `@pipeline` says; function, line: where it begins."""

    name: str
    function: str
    line: int
    steps: tuple[StepOutlineView, ...]
    images: tuple[str, ...]
    secrets: tuple[NamedView, ...]
    artifacts: tuple[NamedView, ...]


class DefinitionView(Record):
    """place: file and line in the configuration, of that revision; commit_sha, branch: where the danubefile was read.
    script_url: the danubefile there, at the forge; "" where that is not known. outline: null where it says no pipeline, and
    then `findings` say why."""

    place: str
    revision: str
    commit_sha: str
    branch: str
    script_url: str
    outline: OutlineView | None
    findings: tuple[FindingView, ...]


class DefinitionQuery(Record):
    """ref: a branch, a tag or a commit; the default branch where none is named."""

    ref: str = ""


class ConfigurationResource(Resource):
    """What the others have in common."""

    async def view(self, status: ConfigurationStatus) -> ConfigurationView:
        """The state, with what the configuration still waits for."""
        applied, repository = self.services.applied, self.services.configuration.repository
        found = await self.services.conditions.conditions()
        return ConfigurationView(
            ok=status.ok,
            repository=without_login(repository.url),
            branch=repository.branch,
            applied_revision=status.applied_revision,
            applied_url=commit_url(repository.url, applied, status.applied_revision),
            applied_at=iso_or_none(status.applied_at),
            seen_revision=status.seen_revision,
            seen_url=commit_url(repository.url, applied, status.seen_revision),
            checked_at=iso_or_none(status.checked_at),
            problem=_finding(status.problem) if status.problem else None,
            findings=tuple(
                _finding(one, file_url(repository.url, applied, status.seen_revision, one.place))
                for one in status.findings
            ),
            conditions=tuple(ConditionView(one.reference, one.what, one.hint) for one in found),
            deploy_key=self.services.deploy_key,
        )


class ConfigurationState(ConfigurationResource):
    """`/api/v1/config`."""

    async def GET(self, request: Request) -> ConfigurationView:
        """The state of the configuration."""
        return await self.view(self.services.configuration.status)


class SyncConfiguration(ConfigurationResource):
    """`/api/v1/config/sync`."""

    async def POST(self, request: Request) -> ConfigurationView:
        """Look at the repository now. Mistakes are in the answer; the last good configuration stays in force."""
        return await self.view(await self.services.configuration.sync())


class PlanConfiguration(ConfigurationResource):
    """`/api/v1/config/plan`."""

    @answers(200, body_bytes=PLAN_BYTES)
    async def POST(self, request: Request, body: PlanFiles) -> PlanView:
        """What these files would change, if they were pushed."""
        return _plan_view(
            await self.services.configuration.plan({name: text.encode() for name, text in body.files.items()})
        )


class PipelineDefinitionResource(ConfigurationResource):
    """`/api/v1/pipelines/{pipeline}/definition`."""

    @answers(200, refuses=(400, 503))
    async def GET(self, request: Request, query: DefinitionQuery) -> DefinitionView:
        """Where the pipeline stands in the configuration, and what its danubefile says without being run."""
        name = request.arguments["pipeline"]
        pipeline = await self.services.pipelines.load_pipeline(name)
        if pipeline is None:
            raise NotFound("pipeline-unknown", f"there is no pipeline {name!r}", hint="danube pipelines")
        applied = self.services.applied
        definition = applied.state.pipelines.get(name)
        found = await self.services.outlines.outline(pipeline, query.ref)
        pages = pages_of(pipeline.settings.repository, applied)
        return DefinitionView(
            place=str(definition.place) if definition is not None else "",
            revision=applied.revision.revision,
            commit_sha=found.revision.commit_sha,
            branch=found.revision.branch,
            script_url=pages.file(found.revision.commit_sha, pipeline.settings.script) if pages is not None else "",
            outline=_outline_view(found.outline) if found.outline is not None else None,
            findings=tuple(_finding(one, _url_of(pages, found.revision.commit_sha, one)) for one in found.findings),
        )


def _url_of(pages: ForgePages | None, commit_sha: str, error: PlatformError) -> str:
    place = error.place
    return pages.file(commit_sha, place.file, place.line) if pages is not None and place is not None else ""


def _finding(error: PlatformError, url: str = "") -> FindingView:
    return FindingView(
        str(error.place or ""), error.what + (f": {error.cause}" if error.cause else ""), error.hint, url
    )


def _plan_view(plan: ConfigurationPlan) -> PlanView:
    return PlanView(
        ok=not plan.findings,
        findings=tuple(map(_finding, plan.findings)),
        changes=tuple(ChangeView(one.action, one.kind, one.key, describe_change(one)) for one in plan.changes),
        grants=tuple(GrantView(one.email, one.pipeline, one.before, one.after) for one in plan.grants),
        secrets=plan.secrets,
    )


def _outline_view(outline: Outline) -> OutlineView:
    return OutlineView(
        name=outline.name,
        function=outline.function,
        line=outline.line,
        steps=tuple(StepOutlineView(one.name, one.image, one.line) for one in outline.steps),
        images=outline.images,
        secrets=tuple(NamedView(one.name, one.line) for one in outline.secrets),
        artifacts=tuple(NamedView(one.name, one.line) for one in outline.artifacts),
    )
