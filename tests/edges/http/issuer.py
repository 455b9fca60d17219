"""An OpenID Connect issuer on loopback whose answers a test can falsify.

It has discovery, a token endpoint, keys and device codes (RFC 8628).
"""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from danube_pkg.core.identity.oidc import ClientSettings, challenge
from tests.support.rsa_keys import rsa_pem

CLIENT_ID = "danube-test"
SECRET = "s3cret/with:odd characters"

Claims = dict[str, Any]


class Issuer:
    """change_claims, sign, document: replaced by tests to falsify its answers. codes: the request of each code.
    device_forms: the client's id in the form of each device login."""

    def __init__(self) -> None:
        self.url = ""
        self.key: RSAKey | ECKey = RSAKey.import_key(rsa_pem("the issuer"), {"kid": "one", "use": "sig"})
        self.published: list[Any] = [self.key]
        self.codes: dict[str, Mapping[str, str]] = {}
        self.change_claims: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = self.signed
        self.document: Callable[[dict[str, Any]], Any] = lambda document: document
        self.key_requests = 0
        self.confirmed_devices: set[str] = set()
        self.challenges: dict[str, str] = {}
        self.device_forms: list[str] = []

    @property
    def client(self) -> ClientSettings:
        return ClientSettings(self.url, CLIENT_ID, SECRET, groups_claim="groups")

    def rotate(self) -> None:
        """Replace the key by a new one."""
        self.key = ECKey.generate_key("P-256", {"kid": f"key-{time.monotonic_ns()}", "use": "sig"})
        self.published = [self.key]

    def signed(self, claims: Claims) -> str:
        algorithm = "ES256" if isinstance(self.key, ECKey) else "RS256"
        return jwt.encode({"alg": algorithm, "kid": self.key.kid}, claims, self.key)

    def unsigned(self, claims: Claims) -> str:
        return jwt.encode({"alg": "none"}, claims, OctKey.generate_key(), algorithms=["none"])

    def signed_with_public_key(self, claims: Claims) -> str:
        """HS256 with the public key as the secret; made by hand, since libraries refuse to."""
        header, payload = ({"alg": "HS256", "kid": self.key.kid}, claims)
        text = ".".join(_url_safe(json.dumps(part).encode()) for part in (header, payload))
        return f"{text}.{_url_safe(hmac.digest(self.key.as_pem(private=False), text.encode(), 'sha256'))}"

    def signed_by_another(self, claims: Claims) -> str:
        """A valid signature by another key, under the issuer's key id."""
        other = RSAKey.import_key(rsa_pem("another issuer"), {"kid": str(self.key.kid)})
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, other)

    def authorize(self, location: str) -> str:
        """Log a user in; returns the query with which the browser is redirected back."""
        wanted = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert wanted["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = wanted
        return f"code={code}&state={wanted['state']}"

    def claims(self, nonce: str | None) -> Claims:
        now = int(time.time())
        claims: Claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "subject-of-alice",
            "email": "alice@example.com",
            "email_verified": True,
            "iat": now,
            "exp": now + 300,
        }
        return self.change_claims(claims | ({"nonce": nonce} if nonce is not None else {}))

    # --- endpoints

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        found = self.document(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "device_authorization_endpoint": f"{self.url}/device",
            }
        )
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    async def keys(self, request: web.Request) -> web.StreamResponse:
        self.key_requests += 1
        return web.json_response(KeySet(self.published).as_dict(private=False))

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if request.headers.get("authorization", "").partition(" ")[0] != "Basic":
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "authorization_code":
            wanted = self.codes.pop(str(form["code"]), None)
            if wanted is None or challenge(str(form["code_verifier"])) != wanted["code_challenge"]:
                return web.json_response({"error": "invalid_grant"}, status=400)
            return web.json_response({"id_token": self.sign(self.claims(wanted["nonce"]))})
        device = str(form["device_code"])
        if device not in self.confirmed_devices:
            return web.json_response({"error": "authorization_pending"}, status=400)
        assert challenge(str(form["code_verifier"])) == self.challenges[device]
        return web.json_response({"id_token": self.sign(self.claims(None))})

    async def device(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.device_forms.append(str(form.get("client_id", "")))
        self.challenges["device-1"] = str(form["code_challenge"])
        answer = {
            "device_code": "device-1",
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.url}/confirm",
            "interval": 1,
            "expires_in": 300,
        }
        return web.json_response(answer)


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    """An issuer on a free port of loopback."""
    issuer = Issuer()
    application = web.Application()
    application.router.add_get("/.well-known/openid-configuration", issuer.discovery)
    application.router.add_get("/keys", issuer.keys)
    application.router.add_post("/token", issuer.token)
    application.router.add_post("/device", issuer.device)
    async with serving(application) as url:
        issuer.url = url
        yield issuer


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """An aiohttp application on a free port of loopback."""
    runner = web.AppRunner(application)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await runner.cleanup()
