"""The ways in which a caller can prove who they are."""

from danube_pkg.kit.records import Record
from danube_pkg.services.identity.oidc import OidcLogin
from danube_pkg.services.identity.passwords import Passwords
from danube_pkg.services.identity.sessions import Sessions
from danube_pkg.services.identity.tokens import Tokens


class Logins(Record):
    """One of each; which of them a server offers is decided by its configuration."""

    sessions: Sessions
    tokens: Tokens
    passwords: Passwords
    oidc: OidcLogin
