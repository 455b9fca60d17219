"""The ways in which a caller can authenticate."""

from danube_pkg.kit.records import Record
from danube_pkg.services.identity.oidc import OidcLogin
from danube_pkg.services.identity.passwords import Passwords
from danube_pkg.services.identity.sessions import Sessions
from danube_pkg.services.identity.tokens import Tokens
from danube_pkg.services.identity.users import Users


class Logins(Record):
    """All of them; the configuration decides which ones a server offers."""

    sessions: Sessions
    tokens: Tokens
    passwords: Passwords
    oidc: OidcLogin
    users: Users
