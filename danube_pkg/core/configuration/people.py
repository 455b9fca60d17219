"""Kinds `User` and `Team`."""

from typing import Annotated, ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import TeamRole
from danube_pkg.kit.records import HIDDEN, Record

BCRYPT_COSTS = (10, 16)
"""Below ten a hash is guessed in hours, above sixteen a login takes seconds; Dex takes the same range."""


class UserSpec(Record):
    """Kind `User`: a person who may log in."""

    email: Annotated[str, rule("Who it is; a changed address is another person.", **patterns.email)]
    password_hash: Annotated[
        str,
        rule(
            "bcrypt with a cost of 10 to 16 (made by: htpasswd -nBC 12 ''); empty for who logs in elsewhere.",
            pattern=r"|\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
            expects="a bcrypt hash",
            hidden=True,
            example="$2b$12$…",
        ),
        HIDDEN,
    ] = ""


class MemberSpec(Record):
    """One member; the address alone is a member without a role of its own."""

    SHORT: ClassVar[str] = "email"
    email: Annotated[str, rule("A user's address.", **patterns.email)]
    role: Annotated[TeamRole, rule("An admin may set the team's secrets and approve.")] = TeamRole.MEMBER


class TeamSpec(Record):
    """Kind `Team`: people who may do the same."""

    members: Annotated[tuple[MemberSpec, ...], rule("Its people.")] = ()
    global_admin: Annotated[bool, rule("Its members may do everything everywhere.")] = False
    groups: Annotated[
        tuple[str, ...],
        rule(
            "Groups of the OIDC issuer whose people belong to this team as well.",
            pattern=r"\S(.*\S)?",
            expects="a name",
        ),
    ] = ()
