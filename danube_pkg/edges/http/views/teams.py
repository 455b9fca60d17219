"""Teams and users of the configuration."""

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


class UserView(Record):
    """A user."""

    name: Annotated[str, about("The name in the configuration.")]
    email: Annotated[str, about("The address.")]
    removed: Annotated[bool, about("True if the configuration no longer has the user, who can then do nothing.")]


class UserList(Record):
    """All users, also removed ones."""

    users: Annotated[tuple[UserView, ...], about("In the order of their addresses.")]
