"""Who may do what: one readable table. Every route names its action; a test walks all of them."""

from dataclasses import dataclass
from enum import StrEnum

from danube_pkg.core.errors import Forbidden, Unauthenticated


class Action(StrEnum):
    """What a route does, in the words of a person."""

    SEE_HEALTH = "see-health"
    SEE_SELF = "see-self"
    SEE_PIPELINES = "see-pipelines"
    SEE_JOBS = "see-jobs"
    READ_LOGS = "read-logs"
    DOWNLOAD = "download"
    TRIGGER = "trigger"
    CANCEL = "cancel"
    SEE_SECRET_NAMES = "see-secret-names"
    SET_SECRETS = "set-secrets"
    SEE_CONFIGURATION = "see-configuration"
    SYNC_CONFIGURATION = "sync-configuration"


class Role(StrEnum):
    """Until people can log in there are two: who owns the socket, and everybody else."""

    ANONYMOUS = "anonymous"
    LOCAL_ADMINISTRATOR = "local-administrator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks; `name` goes into the audit."""

    name: str
    role: Role


ANONYMOUS = Actor("anonymous", Role.ANONYMOUS)
LOCAL_ADMINISTRATOR = Actor("local-administrator", Role.LOCAL_ADMINISTRATOR)

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.ANONYMOUS: frozenset({Action.SEE_HEALTH}),
    Role.LOCAL_ADMINISTRATOR: frozenset(Action),
}


def can(actor: Actor, action: Action) -> bool:
    """Whether the table allows it."""
    return action in ALLOWED[actor.role]


def require(actor: Actor, action: Action) -> None:
    """Raises Unauthenticated for a stranger, Forbidden for somebody known."""
    if can(actor, action):
        return
    if actor.role is Role.ANONYMOUS:
        raise Unauthenticated(
            "login-required",
            "this needs a login",
            cause="over TCP nobody can log in yet; the server's unix socket gives its owner full access",
            hint="on the server: danube --help, with --data DIR or DANUBE_DATA",
        )
    raise Forbidden("not-allowed", f"{actor.name} may not {action}")
