"""The configuration as the server sees it, a look at it now, and what files that somebody sends would change."""

from dataclasses import asdict, dataclass

from danube_pkg.core.configuration.plan import Plan, described
from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import DanubeError, Invalid, NotFound
from danube_pkg.core.repositories import without_login
from danube_pkg.edges.http.handlers import Resource
from danube_pkg.edges.http.messages import Request, Response, json_response
from danube_pkg.edges.http.representations import iso
from danube_pkg.services.configuration import Configuration
from danube_pkg.services.outlines import PipelineOutline

PLAN_BYTES = 16 * 1024**2
"""Thousands of pipelines; what is larger is planned in parts."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One mistake: `place` is file:line."""

    place: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class ConditionView:
    """What is not as the configuration wants it, without being a mistake: a secret not set yet, a restart that is needed."""

    reference: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """Which revision is in force, which was seen last, and what is wrong with that one. `problem`: why it could not be
    read at all, null where it could. `deploy_key`: the public half of the key that reads repositories by ssh."""

    ok: bool
    repository: str
    branch: str
    applied_revision: str
    applied_at: str | None
    seen_revision: str
    checked_at: str | None
    problem: FindingView | None
    findings: tuple[FindingView, ...]
    conditions: tuple[ConditionView, ...]
    deploy_key: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """action: add, change or remove; `lines` say it for people, field by field."""

    action: str
    kind: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantView:
    """A person's level on a pipeline before and after, null for none; `everything` stands for a global administrator's."""

    email: str
    pipeline: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class PlanView:
    """`secrets`: names that the configuration has not had before."""

    ok: bool
    findings: tuple[FindingView, ...]
    changes: tuple[ChangeView, ...]
    grants: tuple[GrantView, ...]
    secrets: tuple[str, ...]


class ConfigurationResource(Resource):
    """What the others have in common."""

    def configuration(self) -> Configuration:
        """Raises NotFound where the server has none."""
        if self.services.configuration is None:
            raise NotFound("no-configuration", "this server was started without a configuration repository")
        return self.services.configuration

    async def view(self, status: ConfigurationStatus) -> ConfigurationView:
        """The state, with what the configuration still waits for."""
        configuration = self.configuration()
        repository = configuration.circumstances.repository
        found = await configuration.conditions()
        return ConfigurationView(
            ok=status.ok,
            repository=without_login(repository.url),
            branch=repository.branch,
            applied_revision=status.applied_revision,
            applied_at=iso(status.applied_at),
            seen_revision=status.seen_revision,
            checked_at=iso(status.checked_at),
            problem=_finding(status.problem) if status.problem else None,
            findings=tuple(map(_finding, status.findings)),
            conditions=tuple(ConditionView(one.reference, one.what, one.hint) for one in found),
            deploy_key=self.services.deploy_key,
        )


class ConfigurationState(ConfigurationResource):
    """`/api/v1/config`."""

    async def GET(self, request: Request) -> Response:
        """The state of the configuration."""
        return json_response(asdict(await self.view(self.configuration().status)))


class ConfigurationSync(ConfigurationResource):
    """`/api/v1/config/sync`."""

    async def POST(self, request: Request) -> Response:
        """Look at the repository now. Mistakes are in the answer; the last good configuration stays in force."""
        return json_response(asdict(await self.view(await self.configuration().sync())))


class ConfigurationPlan(ConfigurationResource):
    """`/api/v1/config/plan`."""

    async def POST(self, request: Request) -> Response:
        """What these files would change: `{"files": {"config.yaml": "…", "pipelines/app.yaml": "…"}}`."""
        body = await request.json_object(PLAN_BYTES)
        files = body.get("files")
        if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
            raise Invalid("plan-invalid", "a plan takes an object `files` of texts by their names")
        plan = await self.configuration().plan({name: text.encode() for name, text in files.items()})
        return json_response(asdict(_plan_view(plan)))


class PipelineDefinition(ConfigurationResource):
    """`/api/v1/pipelines/{pipeline}/definition`."""

    async def GET(self, request: Request) -> Response:
        """Where the pipeline stands in the configuration, and what its danubefile says without being run."""
        name = request.arguments["pipeline"]
        pipeline = await self.services.pipelines.load_pipeline(name)
        if pipeline is None or self.services.outlines is None:
            raise NotFound("pipeline-unknown", f"there is no pipeline {name!r}", hint="danube pipelines")
        definition = self.configuration().state.pipelines.get(name)
        place = str(definition.place) if definition is not None else ""
        outline = await self.services.outlines.outline(pipeline, request.query.get("ref", ""))
        return json_response(
            {"place": place, "revision": self.configuration().status.applied_revision, **_outline_view(outline)}
        )


def _finding(error: DanubeError) -> FindingView:
    return FindingView(str(error.place or ""), error.what + (f": {error.cause}" if error.cause else ""), error.hint)


def _plan_view(plan: Plan) -> PlanView:
    return PlanView(
        ok=not plan.findings,
        findings=tuple(map(_finding, plan.findings)),
        changes=tuple(ChangeView(one.action, one.kind, one.key, described(one)) for one in plan.changes),
        grants=tuple(GrantView(one.email, one.pipeline, one.before, one.after) for one in plan.grants),
        secrets=plan.secrets,
    )


def _outline_view(found: PipelineOutline) -> dict[str, object]:
    outline = asdict(found.outline) | {"images": list(found.outline.images)} if found.outline is not None else None
    return {
        "commit_sha": found.revision.commit_sha,
        "branch": found.revision.branch,
        "outline": outline,
        "findings": [asdict(_finding(one)) for one in found.findings],
    }
