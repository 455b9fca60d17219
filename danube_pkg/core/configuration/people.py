"""Kinds `User` and `Team`."""

from typing import Annotated, ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import TeamRole
from danube_pkg.kit.records import HIDDEN, Record

BCRYPT_COSTS = (10, 16)
"""Below ten passwords can be guessed in hours, above sixteen a login takes seconds. Dex accepts the same range."""


class UserSpec(Record):
    """Kind `User`: a user who may log in."""

    email: Annotated[
        str, rule("The user's address, which identifies them; a changed address is another user.", **patterns.email)
    ]
    password_hash: Annotated[
        str,
        rule(
            "bcrypt with a cost of 10 to 16 (created by: htpasswd -nBC 12 ''); empty for users who log in at an issuer.",
            pattern=r"|\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
            expects="a bcrypt hash",
            hidden=True,
            example="$2b$12$…",
        ),
        HIDDEN,
    ] = ""


class MemberSpec(Record):
    """One member of a team; the address alone stands for a plain member."""

    SHORT: ClassVar[str] = "email"
    email: Annotated[str, rule("The user's address.", **patterns.email)]
    role: Annotated[TeamRole, rule("The role: an admin may set secrets of the team's pipelines.")] = TeamRole.MEMBER


class TeamSpec(Record):
    """Kind `Team`: users with the same permissions."""

    members: Annotated[tuple[MemberSpec, ...], rule("Its members.")] = ()
    global_admin: Annotated[bool, rule("Whether its members may do everything.")] = False
    groups: Annotated[
        tuple[str, ...],
        rule(
            "Groups of the OIDC issuer whose members belong to this team too.",
            pattern=r"\S(.*\S)?",
            expects="a name",
        ),
    ] = ()
