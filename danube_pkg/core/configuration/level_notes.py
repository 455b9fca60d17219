"""What the level `admin` gives to teams in which no member is an admin: less than its name says."""

from danube_pkg.core.configuration.state import State
from danube_pkg.core.identity.access import Level, TeamRole


def admin_levels_without_admins(state: State) -> tuple[str, ...]:
    """A sentence for each team that has the level `admin` on pipelines, or owns some, and has no `admin` member."""
    pipelines: dict[str, list[str]] = {}
    for name, definition in sorted(state.pipelines.items()):
        teams = {one.team for one in definition.spec.permissions if one.level is Level.ADMIN}
        for team in sorted(teams | ({definition.team} - {""})):
            pipelines.setdefault(team, []).append(name)
    found = []
    for team, names in pipelines.items():
        known = state.teams.get(team)
        if known is None or known.global_admin or any(one.role is TeamRole.ADMIN for one in known.members):
            continue
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(
            f"team {team} has the level admin on {names[0]}{more}, and none of its members has the role admin: they get "
            "the level write, and cannot set secrets; in teams.yaml: {email: …, role: admin}"
        )
    return tuple(found)
