"""OpenID Connect without I/O: the requests to an issuer, and every check of its responses.

OpenID Connect Core 1.0 section 3.1.3.7, RFC 7636 (PKCE), RFC 8628 (device code), RFC 9207 (`iss` in the callback). The
adapter verifies the signatures of tokens; the algorithms that it may accept are named here.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from danube_pkg.core.errors import Permanent, Unauthenticated
from danube_pkg.kit.records import HIDDEN, Record, replace

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: `none` proves nothing, and with HS256 the public key could be used to sign."""

SKEW_SECONDS = 60.0
"""By how much the clocks of the issuer and of this server may differ."""

MAX_AGE_SECONDS = 600.0
"""A token that was issued earlier was not issued for this login."""

LOGIN_SECONDS = 600.0
"""The time that a user has at the issuer, between the redirect and the callback."""

MAX_GROUPS = 200


class ClientSettings(Record):
    """Danube's registration at an issuer. groups_claim: "" where groups are not used; secret: "" for a public client.
    device_client_id: a public client for logins by device code, "" where the same client is used."""

    issuer: str
    client_id: str
    secret: Annotated[str, HIDDEN] = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = ""
    device_client_id: str = ""

    def for_devices(self) -> "ClientSettings":
        """The settings of the client for device codes."""
        return replace(self, client_id=self.device_client_id, secret="") if self.device_client_id else self


class IdentityDocument(Record):
    """An issuer's discovery document. device_endpoint: "" where it does not support device codes."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    device_endpoint: str = ""


class TokenAnswer(Record):
    """A response of the token endpoint: a token, or an error code of OAuth with its description."""

    id_token: Annotated[str, HIDDEN] = ""
    error: str = ""
    description: str = ""


class Attempt(Record):
    """One login in progress. It is kept in an encrypted cookie of the browser, not on the server. at: Unix seconds."""

    state: str
    nonce: str
    verifier: Annotated[str, HIDDEN]
    return_to: str
    at: float


class Identity(Record):
    """The user that a token names. Only issuer and subject together name an account, for good (OpenID Connect Core 1.0
    section 5.7): another issuer may number its accounts alike."""

    issuer: str
    subject: str
    email: str
    groups: tuple[str, ...]


class LoginRefused(Unauthenticated):
    """A check of the issuer's response failed. Users see one sentence without details; the log has the cause."""

    def __init__(self, reference: str, cause: str) -> None:
        super().__init__(
            reference,
            "the login failed",
            cause=cause,
            hint="try again; if it fails again, give an administrator the request id",
        )


class IssuerUnusable(Permanent):
    """The issuer's discovery document is not usable, so no user can log in."""

    status = 502


def challenge(verifier: str) -> str:
    """The code challenge of a verifier by PKCE's method S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorization_url(document: IdentityDocument, client: ClientSettings, attempt: Attempt, redirect_uri: str) -> str:
    """The URL to which the browser is redirected for a login."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(client.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
    )
    joiner = "&" if urlsplit(document.authorization_endpoint).query else "?"
    return f"{document.authorization_endpoint}{joiner}{query}"


def check_callback(attempt: Attempt, query: Mapping[str, str], issuer: str, now: float) -> str:
    """The authorization code in a callback's query. now: Unix seconds. Raises LoginRefused."""
    if not hmac.compare_digest(attempt.state.encode(), query.get("state", "").encode(errors="replace")):
        raise LoginRefused("oidc-state", "the callback belongs to another login")
    if now > attempt.at + LOGIN_SECONDS:
        raise LoginRefused("oidc-late", f"the login took longer than {LOGIN_SECONDS:.0f} s")
    if query.get("iss", issuer) != issuer:
        raise LoginRefused("oidc-issuer", "the callback names another issuer")
    if "error" in query:
        raise LoginRefused("oidc-denied", f"the issuer returned the error {query['error'][:100]!r}")
    if not query.get("code"):
        raise LoginRefused("oidc-no-code", "the callback has no code")
    return query["code"]


def check_claims(claims: Mapping[str, object], client: ClientSettings, nonce: str | None, now: float) -> Identity:
    """The user in the claims of a token whose signature is valid. nonce: None for a flow without one. now: Unix
    seconds. Raises LoginRefused."""
    if claims.get("iss") != client.issuer:
        raise LoginRefused("oidc-issuer", f"the token was issued by {claims.get('iss')!r}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client.client_id not in audiences:
        raise LoginRefused("oidc-audience", "the token is for another client")
    if len(audiences) > 1 and "azp" not in claims:
        raise LoginRefused("oidc-party", "the token has several audiences and names no authorised party")
    if claims.get("azp", client.client_id) != client.client_id:
        raise LoginRefused("oidc-party", "another client is the token's authorised party")
    if _number(claims, "exp") + SKEW_SECONDS < now:
        raise LoginRefused("oidc-expired", f"the token has expired: {_clocks(_number(claims, 'exp'), now)}")
    issued = _number(claims, "iat")
    if issued - SKEW_SECONDS > now or now > issued + MAX_AGE_SECONDS + SKEW_SECONDS:
        raise LoginRefused("oidc-issued-at", f"the token was not issued just now: {_clocks(issued, now)}")
    if "nbf" in claims and _number(claims, "nbf") - SKEW_SECONDS > now:
        raise LoginRefused("oidc-not-yet", "the token is not valid yet")
    if nonce is not None and not _same(nonce, claims.get("nonce")):
        raise LoginRefused("oidc-nonce", "the token was issued for another login")
    return _identity(claims, client)


def _identity(claims: Mapping[str, object], client: ClientSettings) -> Identity:
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise LoginRefused("oidc-subject", "the token names no subject")
    if not isinstance(email, str) or not email:
        raise LoginRefused("oidc-email", "the token has no e-mail address; the scope email is needed")
    # Some issuers (Amazon Cognito) write the boolean as a text.
    if claims.get("email_verified") not in (True, "true"):
        raise LoginRefused("oidc-email-unverified", "the issuer has not verified the e-mail address")
    groups = claims.get(client.groups_claim) if client.groups_claim else ()
    groups = [groups] if isinstance(groups, str) and groups else groups  # a single group, at some issuers
    named = tuple(str(one) for one in groups[:MAX_GROUPS]) if isinstance(groups, list) else ()
    return Identity(client.issuer, subject, email, named)


def _clocks(at: float, now: float) -> str:
    difference = f"{abs(at - now):.0f} s {'ahead of' if at > now else 'behind'}"
    return f"its time is {difference} this server's clock; check both clocks (timedatectl)"


def _number(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LoginRefused("oidc-claims", f"the token has no {name}")
    return float(value)


def _same(expected: str, found: object) -> bool:
    return isinstance(found, str) and hmac.compare_digest(expected.encode(), found.encode(errors="replace"))


def read_document(issuer: str, document: Mapping[str, object]) -> IdentityDocument:
    """The discovery document as a record. Raises IssuerUnusable for another issuer's, and for endpoints over plain
    http."""

    def endpoint(name: str, *, needed: bool = True) -> str:
        value = document.get(name)
        if not isinstance(value, str) or not value:
            if needed:
                raise _unusable(issuer, f"its discovery document has no {name}")
            return ""
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise _unusable(issuer, f"its {name} is not a URL") from error
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise _unusable(issuer, f"its {name} is not https")
        return value

    if document.get("issuer") != issuer:
        raise _unusable(issuer, f"its discovery document names the issuer {document.get('issuer')!r}")
    return IdentityDocument(
        issuer=issuer,
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        jwks_uri=endpoint("jwks_uri"),
        device_endpoint=endpoint("device_authorization_endpoint", needed=False),
    )


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine, so that plain http is not sent over a network."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _unusable(issuer: str, cause: str) -> IssuerUnusable:
    return IssuerUnusable(
        "oidc-discovery",
        f"the issuer {issuer} cannot be used",
        cause=cause,
        hint="check auth.oidc.issuer in config.yaml: it must be the URL exactly as the issuer's tokens name it",
    )
