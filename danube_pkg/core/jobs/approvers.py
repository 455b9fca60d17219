"""Who may decide about an environment that a job asks for."""

from collections.abc import Collection

from danube_pkg.core.errors import Forbidden
from danube_pkg.core.identity.access import Actor, ActorKind
from danube_pkg.core.pipelines import Environment


def may_decide(environment: Environment, actor: Actor) -> bool:
    """Whether the caller is an approver: by name, or as a member of a team. A global administrator is none by that
    alone."""
    name = actor.name.lower() if actor.kind is ActorKind.PERSON else actor.name
    return name in environment.approvers or not actor.teams.keys().isdisjoint(environment.approvers)


def has_started(actor: Actor, starters: Collection[str]) -> bool:
    """Whether one of these accounts is the caller's. A job that a webhook started names an account of the forge, which
    counts as the user's where it equals the address or its part before the @: the name that is refused in doubt."""
    names = {actor.name.casefold(), actor.name.casefold().partition("@")[0]}
    return not names.isdisjoint(one.casefold() for one in starters)


def check_may_decide(
    environment: Environment, present: Environment | None, actor: Actor, starters: Collection[str], *, approve: bool
) -> None:
    """Raises Forbidden. environment: as the job has it. present: as the pipeline has it now, None where it has it no
    more: a user who was removed there may not decide any more."""
    if not may_decide(environment, actor) or (present is not None and not may_decide(present, actor)):
        approvers = (present or environment).approvers
        raise Forbidden(
            "not-an-approver",
            f"{actor.name} may not decide about {environment.name}",
            cause=f"its approvers are {', '.join(approvers)}",
            hint="ask one of them; environments are in the pipeline's YAML",
        )
    if approve and not environment.self_approval and has_started(actor, starters):
        raise Forbidden(
            "self-approval",
            f"{actor.name} may not approve {environment.name}",
            cause="the same user has started the job",
            hint="ask another approver; or in the pipeline's YAML: self_approval: true",
        )
