"""Tokens for the server's own registry: who requests one, for what, and what it says. Pure.

The protocol is the registry's (https://distribution.github.io/distribution/spec/auth/token/, /scope/ and /jwt/): a
client that was refused requests a token with its user and password, for scopes such as `repository:app/web:pull,push`.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Protocol

from danube_pkg.core.errors import Invalid
from danube_pkg.kit.records import HIDDEN, Record

TOKEN_ISSUER = "danube"
"""`auth: token: issuer` of the registry's configuration."""

TOKEN_PATH = "/registry/token"

TOKEN_SECONDS = 300
"""A client requests another one when it has expired, so that only a push of more than that repeats a request."""

MAX_SCOPES = 20
MAX_SCOPE_LENGTH = 600
"""The longest name of a repository has 255 characters."""

_CLOCK_SECONDS = 10
"""The registry's clock may be so much behind."""

_SCOPE = re.compile(r"(?P<type>[a-z]+)(\([a-z]+\))?:(?P<name>[^\s:]+(:[0-9]+/[^\s:]+)?):(?P<actions>[a-z,*]*)")


class CredentialKind(StrEnum):
    """SERVER is Danube itself; PUSH is in a container that builds images, PULL with what pulls images for a job."""

    SERVER = "server"
    PUSH = "push"
    PULL = "pull"


class RegistryCredential(Record):
    """What a password stands for. job_id: "" for the server."""

    kind: CredentialKind
    job_id: str = ""


class RegistryPasswords(Protocol):
    """Passwords that are derived and not stored, as those of `JobKeys`."""

    def registry_password(self, credential: RegistryCredential) -> str: ...

    def check_registry_password(self, password: str) -> RegistryCredential:
        """Raises Unauthenticated."""
        ...


class TokenSigner(Protocol):
    """Signs tokens with the key whose certificate the registry has. Raises Permanent."""

    async def sign_registry_token(self, claims: dict[str, Any]) -> Annotated[str, HIDDEN]: ...


class TokenScope(Record):
    """type: `repository` or `registry`. name: of the repository, or `catalog`."""

    type: str
    name: str
    actions: tuple[str, ...]


def parse_scopes(texts: Sequence[str]) -> Sequence[TokenScope]:
    """The scopes of a request, each of which may have several with spaces between them. Raises Invalid."""
    words = [word for text in texts for word in text.split()]
    if len(words) > MAX_SCOPES:
        raise Invalid("scope-invalid", f"more than {MAX_SCOPES} scopes", hint="request a token for each image")
    found = []
    for word in words:
        match = _SCOPE.fullmatch(word) if len(word) <= MAX_SCOPE_LENGTH else None
        if match is None:
            hint = "repository:app/web:pull,push"
            raise Invalid("scope-invalid", f"{word[:100]!r} is not a scope", hint=hint)
        actions = tuple(dict.fromkeys(one for one in match["actions"].split(",") if one))
        found.append(TokenScope(match["type"], match["name"], actions))
    return found


def claims_of_token(
    subject: str, service: str, granted: Sequence[TokenScope], token_id: str, now: float
) -> dict[str, Any]:
    """now: Unix seconds."""
    return {
        "iss": TOKEN_ISSUER,
        "sub": subject,
        "aud": service,
        "iat": int(now),
        "nbf": int(now) - _CLOCK_SECONDS,
        "exp": int(now) + TOKEN_SECONDS,
        "jti": token_id,
        "access": [{"type": one.type, "name": one.name, "actions": list(one.actions)} for one in granted],
    }
