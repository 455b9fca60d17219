"""Teams of the configuration."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record


class TeamView(Record):
    """A team."""

    name: Annotated[str, about("Its name.")]
    global_admin: Annotated[bool, about("Whether its members are global administrators.")]
    members: Annotated[Mapping[str, str], about("The role of each member, by address.")]


class TeamList(Record):
    """Teams that the caller may see."""

    teams: Annotated[tuple[TeamView, ...], about("In the order of their names.")]
