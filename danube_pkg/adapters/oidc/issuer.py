"""An OpenID Connect issuer over HTTP: discovery, token endpoint, keys.

Everything that comes back is bounded and nothing is followed: an answer that redirects is refused, since a discovery
document that another host wrote could name any endpoint. Keys are kept for an hour and asked for again, at most once a
minute, when a token names one that is not known: that is how an issuer rotates them.

aiohttp and joserfc are imported when somebody logs in: a server without an issuer does not carry their weight.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
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

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 256 * 1024
"""A discovery document has 3 KB, a set of keys of a large provider 20 KB."""

DISCOVERY_SECONDS = 3600.0
KEYS_SECONDS = 3600.0
FRESH_KEYS_SECONDS = 60.0
TOKEN_LENGTH = 32 * 1024

_JSON = {"accept": "application/json"}


class OidcProvider:
    """`core.identity.ports.IdentityProvider`. Close it after use.

    reached_at: (the beginning of public URLs, where this server reaches them). Our own Dex is asked directly: its public name
    may lead through a proxy with a certificate that only browsers know.
    """

    def __init__(self, reached_at: tuple[str, str] | None = None) -> None:
        self._reached_at = reached_at
        self._session: aiohttp.ClientSession | None = None
        self._documents: dict[str, tuple[float, IdentityDocument]] = {}
        self._keys: dict[str, tuple[float, Any]] = {}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

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
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(id_token) > TOKEN_LENGTH:
            raise LoginRefused("oidc-token", "the token is too long")
        keys = await self._key_set(document.jwks_uri, fresh=fresh_keys)
        algorithm, key_id = _header(id_token)
        if algorithm not in ALGORITHMS:
            raise LoginRefused("oidc-algorithm", f"the token is signed with {algorithm!r}")
        if key_id is not None and all(key.kid != key_id for key in keys.keys):
            if fresh_keys:
                raise LoginRefused("oidc-key", "the token is signed with a key that the issuer does not have")
            return await self.claims(client, document, id_token, fresh_keys=True)
        try:
            return dict(jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise LoginRefused("oidc-signature", f"the token's signature is not good: {error}") from error

    async def _key_set(self, uri: str, *, fresh: bool) -> Any:
        from joserfc.errors import JoseError
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
        """Status and object. Raises Unavailable, IssuerUnusable."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        if self._reached_at is not None and url.startswith(f"{self._reached_at[0]}/"):
            url = self._reached_at[1] + url.removeprefix(self._reached_at[0])
        try:
            async with self._session.request(
                method, url, data=form, headers={**_JSON, **(headers or {})}, allow_redirects=False
            ) as response:
                if 300 <= response.status < 400:
                    raise _refused(url, "it redirects elsewhere")
                data = await response.content.readexactly(ANSWER_BYTES + 1)
                raise _refused(url, f"it answered with more than {len(data) - 1} bytes")
        except asyncio.IncompleteReadError as error:
            data = error.partial
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(
                "oidc-unreachable",
                "the issuer does not answer",
                cause=f"{url}: {error or type(error).__name__}",
                hint="check that this server can reach it",
            ) from error
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _refused(url, f"it answered {response.status} with something that is not JSON") from error
        if not isinstance(answer, dict):
            raise _refused(url, "its answer is no JSON object")
        return response.status, answer


def _header(id_token: str) -> tuple[str, str | None]:
    """Algorithm and key id as the token claims them; they choose a check, they do not pass one."""
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise LoginRefused("oidc-token", f"this is no signed token: {error}") from error
    key_id = header.get("kid")
    return str(header.get("alg", "")), key_id if isinstance(key_id, str) else None


def _authenticated(client: ClientSettings, form: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The form and the headers by which the client proves itself (`client_secret_basic`, else PKCE alone)."""
    if not client.secret:
        return {**form, "client_id": client.client_id}, {}
    from base64 import b64encode

    pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return form, {"authorization": "Basic " + b64encode(pair.encode()).decode()}


def _refused(url: str, cause: str) -> IssuerUnusable:
    return IssuerUnusable(
        "oidc-issuer-unusable",
        "the issuer's answer cannot be used",
        cause=f"{url}: {cause}",
        hint="in config.yaml: auth.oidc.issuer",
    )
