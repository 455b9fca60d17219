"""Authorisation: one table of actions and what each requires. Every route names its action; a test calls each as every
kind of user.

Users get levels on a pipeline through their teams: each permission gives a team a level, and the team that owns a
pipeline has `admin`. The level `admin` has its full effect for the team's `admin` members; for the other members it is
`write`. Members of a team with `global_admin`, and the owner of the server's unix socket, may do everything.

A pipeline that the caller may not see does not exist for them: lists leave it out, and its name gives 404.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum

from danube_pkg.core.errors import Forbidden, NotFound, Unauthenticated
from danube_pkg.kit.records import Record, field


class Level(StrEnum):
    """What a team may do with a pipeline; each level includes the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class TeamRole(StrEnum):
    """A user's role in a team."""

    MEMBER = "member"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API token may be used for; a token never permits more than its owner may do."""

    READ = "read"
    WRITE = "write"
    APPROVE = "approve"
    SECRETS = "secrets"
    ADMIN = "admin"


class Need(IntEnum):
    """What an action requires, from least to most. READ, WRITE and ADMIN are levels on the pipeline that it
    concerns."""

    NOTHING = 0
    LOGIN = 1
    READ = 2
    WRITE = 3
    ADMIN = 4
    GLOBAL_ADMIN = 5


class Action(StrEnum):
    """What a route does. Error messages and the audit log show the value."""

    SEE_HEALTH = "see-health"
    SEE_PAGE = "see-page"
    SEE_METRICS = "see-metrics"
    SEE_DOCUMENTATION = "see-documentation"
    LOG_IN = "log-in"
    RECEIVE_HOOK = "receive-hook"
    ISSUE_REGISTRY_TOKEN = "issue-registry-token"
    SEE_SELF = "see-self"
    END_OWN_SESSION = "end-own-session"
    MANAGE_OWN_TOKENS = "manage-own-tokens"
    SEE_TEAMS = "see-teams"
    LIST_PIPELINES = "list-pipelines"
    LIST_JOBS = "list-jobs"
    LIST_DELIVERIES = "list-deliveries"
    SEE_PIPELINE = "see-pipeline"
    SEE_JOB = "see-job"
    READ_LOG = "read-log"
    DOWNLOAD = "download"
    TRIGGER = "trigger"
    CANCEL = "cancel"
    RERUN = "rerun"
    KEEP = "keep"
    OPEN_SHELL = "open-shell"
    USE_SHELL = "use-shell"
    REMOVE_POD = "remove-pod"
    REMOVE_CACHES = "remove-caches"
    APPROVE = "approve"
    DECIDE_ENVIRONMENT = "decide-environment"
    SEE_SECRET_NAMES = "see-secret-names"
    SET_SECRETS = "set-secrets"
    SEE_GLOBAL_SECRET_NAMES = "see-global-secret-names"
    SET_GLOBAL_SECRETS = "set-global-secrets"
    SEE_USERS = "see-users"
    MANAGE_USERS = "manage-users"
    SEE_AUDIT = "see-audit"
    SEE_CONFIGURATION = "see-configuration"
    SYNC_CONFIGURATION = "sync-configuration"
    SEE_SYSTEM = "see-system"
    DRAIN = "drain"
    SEE_SIGNING_KEYS = "see-signing-keys"
    ROTATE_SIGNING_KEY = "rotate-signing-key"
    REAP = "reap"


class ActionRule(Record):
    """What an action requires. scope: the scope that a token must have; None: any token."""

    need: Need
    scope: Scope | None = None


RULES: Mapping[Action, ActionRule] = {
    Action.SEE_HEALTH: ActionRule(Need.NOTHING),
    Action.SEE_PAGE: ActionRule(Need.NOTHING),
    Action.SEE_METRICS: ActionRule(Need.NOTHING),
    Action.SEE_DOCUMENTATION: ActionRule(Need.NOTHING),
    Action.LOG_IN: ActionRule(Need.NOTHING),
    Action.RECEIVE_HOOK: ActionRule(Need.NOTHING),
    Action.ISSUE_REGISTRY_TOKEN: ActionRule(Need.NOTHING),
    Action.SEE_SELF: ActionRule(Need.LOGIN),
    Action.END_OWN_SESSION: ActionRule(Need.LOGIN),
    Action.MANAGE_OWN_TOKENS: ActionRule(Need.LOGIN, Scope.ADMIN),
    Action.SEE_TEAMS: ActionRule(Need.LOGIN, Scope.READ),
    Action.LIST_PIPELINES: ActionRule(Need.LOGIN, Scope.READ),
    Action.LIST_JOBS: ActionRule(Need.LOGIN, Scope.READ),
    Action.LIST_DELIVERIES: ActionRule(Need.LOGIN, Scope.READ),
    Action.SEE_PIPELINE: ActionRule(Need.READ, Scope.READ),
    Action.SEE_JOB: ActionRule(Need.READ, Scope.READ),
    Action.READ_LOG: ActionRule(Need.READ, Scope.READ),
    Action.DOWNLOAD: ActionRule(Need.READ, Scope.READ),
    Action.TRIGGER: ActionRule(Need.WRITE, Scope.WRITE),
    Action.CANCEL: ActionRule(Need.WRITE, Scope.WRITE),
    Action.RERUN: ActionRule(Need.WRITE, Scope.WRITE),
    Action.KEEP: ActionRule(Need.WRITE, Scope.WRITE),
    Action.OPEN_SHELL: ActionRule(Need.ADMIN, Scope.ADMIN),
    Action.USE_SHELL: ActionRule(Need.ADMIN, Scope.ADMIN),
    Action.REMOVE_POD: ActionRule(Need.WRITE, Scope.WRITE),
    Action.REMOVE_CACHES: ActionRule(Need.WRITE, Scope.WRITE),
    Action.APPROVE: ActionRule(Need.WRITE, Scope.APPROVE),
    Action.DECIDE_ENVIRONMENT: ActionRule(Need.READ, Scope.APPROVE),
    Action.SEE_SECRET_NAMES: ActionRule(Need.WRITE, Scope.SECRETS),
    Action.SET_SECRETS: ActionRule(Need.ADMIN, Scope.SECRETS),
    Action.SEE_GLOBAL_SECRET_NAMES: ActionRule(Need.GLOBAL_ADMIN, Scope.SECRETS),
    Action.SET_GLOBAL_SECRETS: ActionRule(Need.GLOBAL_ADMIN, Scope.SECRETS),
    Action.SEE_USERS: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.MANAGE_USERS: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.SEE_AUDIT: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.SEE_CONFIGURATION: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.SYNC_CONFIGURATION: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.SEE_SYSTEM: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.DRAIN: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.SEE_SIGNING_KEYS: ActionRule(Need.NOTHING),
    Action.ROTATE_SIGNING_KEY: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
    Action.REAP: ActionRule(Need.GLOBAL_ADMIN, Scope.ADMIN),
}


class ActorKind(StrEnum):
    """The kind of caller: unauthenticated, the owner of the unix socket, or a user of the configuration."""

    ANONYMOUS = "anonymous"
    LOCAL = "local-administrator"
    PERSON = "person"


class Actor(Record):
    """The caller. name: as the audit log shows it. teams: the user's role in each of their teams. scopes: None unless
    authenticated by a token."""

    name: str
    kind: ActorKind
    user_id: str = ""
    global_admin: bool = False
    teams: Mapping[str, TeamRole] = field(default_factory=dict)
    scopes: frozenset[Scope] | None = None


class Target(Record):
    """What an action concerns: a pipeline and everything that belongs to it, or the server where `pipeline` is empty.

    owner: the owning team. levels: by team.
    """

    pipeline: str = ""
    owner: str = ""
    levels: Mapping[str, Level] = field(default_factory=dict)


ANONYMOUS = Actor("anonymous", ActorKind.ANONYMOUS)
LOCAL_ADMINISTRATOR = Actor("local-administrator", ActorKind.LOCAL, global_admin=True)
SERVER = Target()

_NEED_OF_LEVEL = {Level.READ: Need.READ, Level.WRITE: Need.WRITE, Level.ADMIN: Need.ADMIN}


def access_of(actor: Actor, target: Target) -> Need:
    """The highest requirement that the caller meets for a target, regardless of the scopes of a token."""
    if actor.global_admin:
        return Need.GLOBAL_ADMIN
    if actor.kind is ActorKind.ANONYMOUS:
        return Need.NOTHING
    return max((_through(team, role, target) for team, role in actor.teams.items()), default=Need.LOGIN)


def _through(team: str, role: TeamRole, target: Target) -> Need:
    """The requirement that one membership meets."""
    level = Level.ADMIN if team and team == target.owner else target.levels.get(team)
    if not target.pipeline or level is None:
        return Need.LOGIN
    return Need.WRITE if level is Level.ADMIN and role is not TeamRole.ADMIN else _NEED_OF_LEVEL[level]


def can(actor: Actor, action: Action, target: Target = SERVER) -> bool:
    """Whether the caller may do it: the only decision about access."""
    rule = RULES[action]
    in_scope = actor.scopes is None or rule.scope is None or rule.scope in actor.scopes
    return in_scope and access_of(actor, target) >= rule.need


def require(actor: Actor, action: Action, target: Target = SERVER) -> None:
    """Raises Unauthenticated for an unauthenticated caller, NotFound for a pipeline that the caller may not see,
    Forbidden for an action that they may not do."""
    if can(actor, action, target):
        return
    if actor.kind is ActorKind.ANONYMOUS:
        raise Unauthenticated(
            "login-required",
            "this requires a login",
            hint="log in: danube login URL; or use the unix socket on the server itself: --data DIR",
        )
    if target.pipeline and access_of(actor, target) < Need.READ:
        raise unknown_pipeline(target.pipeline)
    rule = RULES[action]
    if access_of(actor, target) >= rule.need:
        raise Forbidden(
            "token-scope",
            f"this token may not be used for {action}",
            cause=f"it needs the scope {rule.scope}",
            hint=f"create one: danube token create --scope {rule.scope}",
        )
    raise Forbidden(
        "not-allowed", f"{actor.name} may not {action}", cause=_cause(rule.need, target), hint=_hint(target)
    )


def unknown_pipeline(name: str) -> NotFound:
    """The error for a pipeline that does not exist or that the caller may not see: both must look the same."""
    return NotFound("pipeline-unknown", f"there is no pipeline {name!r}", hint="list them with: danube pipelines")


def _cause(need: Need, target: Target) -> str:
    if need is Need.GLOBAL_ADMIN:
        return "it requires membership of a team with global_admin: true"
    if need is Need.ADMIN:
        return f"it requires an admin member of a team with the level admin on {target.pipeline}"
    return f"it requires a team with the level {need.name.lower()} on {target.pipeline}"


def _hint(target: Target) -> str:
    if target.pipeline:
        return f"teams and levels are in the configuration repository: teams.yaml, pipelines/{target.pipeline}.yaml"
    return "teams are in the configuration repository: teams.yaml"
