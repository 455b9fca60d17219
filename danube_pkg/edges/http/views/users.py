"""Users of the configuration."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.identity.people import Person
from danube_pkg.kit.records import Record


class UserView(Record):
    """A user."""

    name: Annotated[str, about("The name in the configuration.")]
    email: Annotated[str, about("The address.")]
    removed: Annotated[bool, about("True if the configuration no longer has the user, who can then do nothing.")]
    issuer: Annotated[str, about("The issuer whose account is bound to the user; empty while there is none.")]
    subject: Annotated[str, about("That account, as its issuer names it.")]


class UserList(Record):
    """All users, also removed ones."""

    users: Annotated[tuple[UserView, ...], about("In the order of their addresses.")]


class EndedLogins(Record):
    """What an administrator ended."""

    ended: Annotated[int, about("How many sessions ended, or tokens were revoked.")]


def user_view(person: Person) -> UserView:
    """A user as administrators see them."""
    return UserView(person.name, person.email, person.removed, person.issuer, person.subject)
