"""Kinds `User` and `Team`."""

from dataclasses import dataclass, field
from typing import ClassVar

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import TeamRole

BCRYPT_COSTS = (10, 16)
"""Below ten a hash is guessed in hours, above sixteen a login takes seconds; Dex takes the same range."""


@dataclass(frozen=True, slots=True)
class UserSpec:
    """Kind `User`: a person who may log in."""

    email: str = field(metadata=rule("Who it is; a changed address is another person.", **patterns.email))
    password_hash: str = field(
        default="",
        repr=False,
        metadata=rule(
            "bcrypt with a cost of 10 to 16 (made by: htpasswd -nBC 12 ''); empty for who logs in elsewhere.",
            pattern=r"|\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
            expects="a bcrypt hash",
            hidden=True,
            example="$2b$12$…",
        ),
    )


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """One member; the address alone is a member without a role of its own."""

    SHORT: ClassVar[str] = "email"
    email: str = field(metadata=rule("A user's address.", **patterns.email))
    role: TeamRole = field(default=TeamRole.MEMBER, metadata=rule("An admin may set the team's secrets and approve."))


@dataclass(frozen=True, slots=True)
class TeamSpec:
    """Kind `Team`: people who may do the same."""

    members: tuple[MemberSpec, ...] = field(default=(), metadata=rule("Its people."))
    global_admin: bool = field(default=False, metadata=rule("Its members may do everything everywhere."))
    groups: tuple[str, ...] = field(
        default=(),
        metadata=rule(
            "Groups of the OIDC issuer whose people belong to this team as well.",
            pattern=r"\S(.*\S)?",
            expects="a name",
        ),
    )
