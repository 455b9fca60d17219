"""Which level each user has on each pipeline, and what a change of the configuration does to it; for `danube config
--plan`."""

from collections.abc import Mapping

from danube_pkg.core.configuration.state import State
from danube_pkg.core.identity.access import Level, TeamRole
from danube_pkg.kit.records import Record

EVERYTHING = "everything"
"""Stands for a pipeline's name in the grant of a global administrator."""

_ORDER = (Level.READ, Level.WRITE, Level.ADMIN)


class GrantChange(Record):
    """A user's level on a pipeline before and after a change; None: no access."""

    email: str
    pipeline: str
    before: Level | None
    after: Level | None


def grants(state: State) -> Mapping[tuple[str, str], Level]:
    """(address, pipeline) → the highest level that any team gives. Global administrators have `EVERYTHING`."""
    found: dict[tuple[str, str], Level] = {}
    for team in state.teams.values():
        if team.global_admin:
            found.update({(one.email, EVERYTHING): Level.ADMIN for one in team.members})
    for pipeline in state.pipelines.values():
        given = [(one.team, one.level) for one in pipeline.spec.permissions]
        for team_name, level in [*given, (pipeline.team, Level.ADMIN)]:
            for member in state.teams[team_name].members if team_name in state.teams else ():
                key = (member.email, pipeline.name)
                # As in core/identity/access.py: `admin` has its full effect only for the team's admins.
                own = Level.WRITE if level is Level.ADMIN and member.role is not TeamRole.ADMIN else level
                if key not in found or _ORDER.index(found[key]) < _ORDER.index(own):
                    found[key] = own
    return found


def changed_grants(before: State, after: State) -> tuple[GrantChange, ...]:
    """The grants that differ between two states, sorted by user and pipeline."""
    old, new = grants(before), grants(after)
    return tuple(
        GrantChange(email, pipeline, old.get((email, pipeline)), new.get((email, pipeline)))
        for email, pipeline in sorted({*old, *new})
        if old.get((email, pipeline)) != new.get((email, pipeline))
    )
