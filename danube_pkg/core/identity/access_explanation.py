"""Which team gives a user which level on a pipeline, and what follows, in sentences."""

from collections.abc import Mapping, Sequence

from danube_pkg.core.identity.access import (
    RULES,
    Action,
    Actor,
    ActorKind,
    Level,
    Need,
    Target,
    TeamRole,
    access_of,
    can,
)
from danube_pkg.kit.records import Record


class TeamMembership(Record):
    """A team and its user's role in it. global_admin: whether the team's members may do everything."""

    team: str
    role: TeamRole
    global_admin: bool = False


def explain_access(user: str, pipeline: str, levels: Mapping[str, Level], teams: Sequence[TeamMembership]) -> list[str]:
    """levels: of teams on the pipeline, the owner's included. teams: those of the user."""
    actor = Actor(
        user,
        ActorKind.PERSON,
        global_admin=any(one.global_admin for one in teams),
        teams={one.team: one.role for one in teams},
    )
    target = Target(pipeline, levels=levels)
    lines = [_sentence(user, pipeline, levels, one) for one in teams]
    if not teams:
        lines.append(f"{user} is in no team (teams.yaml).")
    needs = (Need.READ, Need.WRITE, Need.ADMIN)
    allowed = [str(one) for one in Action if RULES[one].need in needs and can(actor, one, target)]
    if access_of(actor, target) < Need.READ:
        lines.append(f"So {user} cannot see {pipeline}: it looks as if it did not exist.")
        lines.append(f"To change that: permissions in pipelines/{pipeline}.yaml, or teams.yaml.")
    else:
        lines.append(f"So {user} may: {', '.join(allowed)}.")
    return lines


def _sentence(user: str, pipeline: str, levels: Mapping[str, Level], one: TeamMembership) -> str:
    if one.global_admin:
        return f"{user} is in {one.team}, whose members are global administrators."
    level = levels.get(one.team)
    if level is None:
        return f"{user} is in {one.team}, which has no level on {pipeline}."
    member = "" if level is not Level.ADMIN or one.role is TeamRole.ADMIN else "; for its plain members that is write"
    return f"{user} is {one.role} of {one.team}, which has the level {level} on {pipeline}{member}."
