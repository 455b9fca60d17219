"""An OpenID Connect issuer over HTTP: discovery, token endpoint, keys.

Responses are bounded and redirects refused, since a discovery document of another host could name any endpoint. Keys
are cached for an hour. If a token names an unknown key (issuers rotate them) they are fetched again, at most once a
minute.

joserfc is imported with the first login: a server without an issuer does not load it.
"""

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.identity.oidc import (
    ALGORITHMS,
    ClientSettings,
    IdentityDocument,
    IssuerUnusable,
    LoginRefused,
    TokenAnswer,
    read_document,
)
from danube_pkg.kit.http_client import ExchangeFailed, HttpClient, HttpSettings, Trouble, WholeResponse, no_proxy

DISCOVERY_SECONDS = 3600.0
KEYS_SECONDS = 3600.0
FRESH_KEYS_SECONDS = 60.0
TOKEN_LENGTH = 32 * 1024

_JSON = {"accept": "application/json"}


class OidcProvider:
    """`core.identity.ports.IdentityProvider`. Close it after use.

    own_dex: (prefix of the public URLs of the server's own Dex, the loopback address to use in its place). It is
    reached directly, since the public name may lead through a reverse proxy with a certificate that only browsers
    trust.
    """

    def __init__(self, own_dex: tuple[str, str] | None = None) -> None:
        self._own_dex = own_dex
        self._http = HttpClient(HttpSettings("danube"))
        self._direct_http = HttpClient(HttpSettings("danube", proxy_of=no_proxy))
        self._documents: dict[str, tuple[float, IdentityDocument]] = {}
        self._keys: dict[str, tuple[float, Any]] = {}

    async def close(self) -> None:
        await self._http.close()
        await self._direct_http.close()

    async def discover(self, issuer: str) -> IdentityDocument:
        known = self._documents.get(issuer)
        if known is not None and time.monotonic() < known[0] + DISCOVERY_SECONDS:
            return known[1]
        status, answer = await self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200:
            raise _refused(issuer, f"discovery answered {status}")
        document = read_document(issuer, answer)
        self._documents[issuer] = time.monotonic(), document
        return document

    async def exchange(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> TokenAnswer:
        _, answer = await self._json("POST", document.token_endpoint, *_authenticated(client, form))
        text = {name: value for name, value in answer.items() if isinstance(value, str)}
        return TokenAnswer(text.get("id_token", ""), text.get("error", ""), text.get("error_description", ""))

    async def start_device(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> Mapping[str, object]:
        status, answer = await self._json("POST", document.device_endpoint, *_authenticated(client, form))
        if status != 200 or not isinstance(answer.get("device_code"), str):
            raise _refused(document.device_endpoint, f"it answered {status} {answer.get('error', '')}")
        return answer

    async def claims(
        self, client: ClientSettings, document: IdentityDocument, id_token: str, *, fresh_keys: bool = False
    ) -> Mapping[str, object]:
        from joserfc import jwt  # 200 ms, and only a login needs it
        from joserfc.errors import JoseError

        if len(id_token) > TOKEN_LENGTH:
            raise LoginRefused("oidc-token", "the token is too long")
        keys = await self._key_set(document.jwks_uri, fresh=fresh_keys)
        algorithm, key_id = _header(id_token)
        if algorithm not in ALGORITHMS:
            raise LoginRefused("oidc-algorithm", f"the token is signed with {algorithm!r}")
        if key_id is not None and all(key.kid != key_id for key in keys.keys):
            if fresh_keys:
                raise LoginRefused("oidc-key", "the token is signed with a key that the issuer does not publish")
            return await self.claims(client, document, id_token, fresh_keys=True)
        try:
            return dict(jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise LoginRefused("oidc-signature", f"the token's signature is not valid: {error}") from error

    async def _key_set(self, uri: str, *, fresh: bool) -> Any:
        from joserfc.errors import JoseError  # 200 ms, and only a login needs it
        from joserfc.jwk import KeySet

        known = self._keys.get(uri)
        age = FRESH_KEYS_SECONDS if fresh else KEYS_SECONDS
        if known is not None and time.monotonic() < known[0] + age:
            return known[1]
        status, answer = await self._json("GET", uri)
        if status != 200:
            raise _refused(uri, f"it answered {status}")
        try:
            usable = [
                key for key in answer.get("keys", []) if key.get("kty") != "oct" and key.get("use", "sig") == "sig"
            ]
            keys = KeySet.import_key_set({"keys": usable})
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _refused(uri, f"its keys cannot be read: {error}") from error
        self._keys[uri] = time.monotonic(), keys
        return keys

    async def _json(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of a response. Raises Unavailable, IssuerUnusable."""
        response = await self._response(method, url, form, {**_JSON, **(headers or {})})
        if 300 <= response.status < 400:
            raise _refused(url, "it redirects to another URL")
        try:
            found = json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise _refused(url, f"it answered {response.status} with a body that is not JSON") from error
        if not isinstance(found, dict):
            raise _refused(url, "its response is not a JSON object")
        return response.status, found

    async def _response(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> WholeResponse:
        http = self._http
        if self._own_dex is not None and url.startswith(f"{self._own_dex[0]}/"):
            http, url = self._direct_http, self._own_dex[1] + url.removeprefix(self._own_dex[0])
        try:
            return await http.exchange(method, url, form=form, headers=headers)
        except ExchangeFailed as error:
            if error.trouble is Trouble.TOO_LARGE:
                raise _refused(url, str(error)) from error
            raise Unavailable(
                "oidc-unreachable",
                "the issuer does not answer",
                cause=f"{url}: {error}",
                hint="check that this server can reach it",
            ) from error


def _header(id_token: str) -> tuple[str, str | None]:
    """Algorithm and key id from the token's header, which is not verified yet: they only select the check."""
    from joserfc.errors import JoseError  # 200 ms, and only a login needs it
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise LoginRefused("oidc-token", f"it is not a signed token: {error}") from error
    key_id = header.get("kid")
    return str(header.get("alg", "")), key_id if isinstance(key_id, str) else None


def _authenticated(client: ClientSettings, form: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Form and headers that authenticate the client (`client_secret_basic`; PKCE alone for a client without secret).

    The form names the client in either case: a device authorisation request must (RFC 8628 section 3.1), and Dex reads
    it there only.
    """
    form = {**form, "client_id": client.client_id}
    if not client.secret:
        return form, {}
    pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return form, {"authorization": "Basic " + b64encode(pair.encode()).decode()}


def _refused(url: str, cause: str) -> IssuerUnusable:
    return IssuerUnusable(
        "oidc-issuer-unusable",
        "the issuer's answer cannot be used",
        cause=f"{url}: {cause}",
        hint="in config.yaml: auth.oidc.issuer",
    )
