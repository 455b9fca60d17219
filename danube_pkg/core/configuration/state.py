"""The state that one revision of the configuration describes: server settings, users, teams, pipelines.

The desired state (from documents) and the actual one (from the database) have the same type, so that they can be
compared.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.environments import environments_of
from danube_pkg.core.configuration.kinds import TypedDocument
from danube_pkg.core.configuration.people import MemberSpec, TeamSpec, UserSpec
from danube_pkg.core.configuration.pipelines import ApprovalWaiver, PipelineSpec, TriggerKind
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.errors import SourceLocation
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.repositories.urls import repository_from
from danube_pkg.core.runtimes.pods import Network, Placement
from danube_pkg.kit.records import HIDDEN, Record, field, replace

_NOWHERE = SourceLocation("")


class Applied(Record):
    """The applied revision; "" and None before the first one. at: Unix seconds."""

    revision: str = ""
    at: float | None = None


class User(Record):
    """A user. email: in lower case; it identifies the user."""

    email: str
    name: str
    password_hash: Annotated[str, HIDDEN] = ""


class Team(Record):
    """A team. members: sorted by address, each once. groups: of the OIDC issuer."""

    name: str
    members: tuple[MemberSpec, ...] = ()
    global_admin: bool = False
    groups: tuple[str, ...] = ()


class PipelineDefinition(Record, eq=False):
    """A pipeline as configured; its repository is a URL or an absolute path.

    place: its line in the configuration. text: its YAML there. Neither counts when two definitions are compared.
    """

    name: str
    team: str
    spec: PipelineSpec
    place: Annotated[SourceLocation, rule(internal=True)] = _NOWHERE
    text: Annotated[str, rule(internal=True), HIDDEN] = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PipelineDefinition):
            return False
        return (self.name, self.team, self.spec) == (other.name, other.team, other.spec)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.name, self.team))


class State(Record):
    """The whole state: users by address, teams and pipelines by name."""

    config: ConfigSpec = field(default_factory=ConfigSpec)
    users: Mapping[str, User] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineDefinition] = field(default_factory=dict)


def desired_state(documents: Iterable[TypedDocument], base: str, texts: Mapping[SourceLocation, str]) -> State:
    """The state that valid documents describe. base: the directory from which relative repositories start. texts: the
    YAML of documents by place."""
    config, users, teams = ConfigSpec(), {}, {}
    pipelines: dict[str, PipelineDefinition] = {}
    for one in documents:
        name = one.metadata.name
        match one.spec:
            case ConfigSpec() as spec:
                config = spec
            case UserSpec() as spec:
                users[spec.email.lower()] = User(spec.email.lower(), name, spec.password_hash)
            case TeamSpec() as spec:
                teams[name] = _team(name, spec)
            case PipelineSpec() as spec:
                resolved = replace(spec, repository=repository_from(spec.repository, base))
                place = one.document.root.place
                pipelines[name] = PipelineDefinition(name, one.metadata.team, resolved, place, texts.get(place, ""))
    if not users:
        users = _implied_users(teams)
    return State(config, users, teams, pipelines)


def _team(name: str, spec: TeamSpec) -> Team:
    members = {one.email.lower(): replace(one, email=one.email.lower()) for one in spec.members}
    return Team(name, tuple(members[email] for email in sorted(members)), spec.global_admin, spec.groups)


def _implied_users(teams: Mapping[str, Team]) -> dict[str, User]:
    """The users of a configuration without any document of kind User: they log in at an issuer, and teams name them."""
    return {one.email: User(one.email, one.email) for team in teams.values() for one in team.members}


def pipeline_of(definition: PipelineDefinition, config: ConfigSpec, pipeline_id: str) -> Pipeline:
    """The pipeline as the engine uses it. config: the settings of the whole server."""
    spec = definition.spec
    schedules = (one.schedule for one in spec.triggers if one.kind is TriggerKind.CRON)
    return Pipeline(
        id=pipeline_id,
        name=definition.name,
        team=definition.team,
        settings=PipelineSettings(
            repository=spec.repository,
            script=spec.script,
            image=spec.image,
            max_duration_seconds=spec.max_duration_seconds,
            grace_seconds=spec.grace_seconds,
            keep_failed_seconds=spec.keep_failed_seconds,
            workspace_size_gb=spec.workspace_size_gb,
            memory_mb=spec.resources.memory_mb,
            cpu=spec.resources.cpu,
            log_limit_mb=spec.log_limit_mb,
            network=Network.ALLOWLIST,
            egress_allowlist=spec.egress_allowlist,
            environment=spec.env,
            run_as_root=spec.run_as_root,
            builds_images=bool(spec.images),
            placement=Placement(
                spec.node_selector, tuple(one.as_of_the_api() for one in spec.tolerations), spec.runtime_class
            ),
            trusts_members=spec.trust is ApprovalWaiver.MEMBERS,
            submodules=spec.submodules,
            clone_depth=spec.clone.depth,
            clone_tags=spec.clone.tags,
            cache=spec.cache,
            environments=environments_of(spec.environments),
            max_concurrent_jobs=spec.max_concurrent_jobs,
            priority=spec.priority,
            concurrency_group=spec.concurrency.group if spec.concurrency is not None else None,
            cancel_in_progress=spec.concurrency is not None and spec.concurrency.cancel_in_progress,
        ),
        branch_filter=spec.branch_filter,
        cron_schedule=next(schedules, None),
    )
