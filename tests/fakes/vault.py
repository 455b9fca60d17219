"""OpenBao as far as Danube uses it: the login by an identity token, and reads of the KV engine, version 2.

`tests/contract/test_vaults.py` holds it to a real one.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from danube_pkg.core.secrets.outside import VaultSettings
from tests.support.rsa_keys import rsa_key, rsa_pem

ISSUER = "https://ci.example.org"
ROLE = "danube"
NOW = 1_900_000_000
"""Tokens are valid until long after."""


class Identities:
    """The server whose identity tokens a vault trusts, or another one."""

    def __init__(self, owner: str = "the server") -> None:
        self.key = RSAKey.import_key(rsa_pem(owner))
        public = rsa_key(owner).public_key()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, pipeline: str, audience: str) -> str:
        """As Danube issues it, of a job of that pipeline."""
        claims = {
            "iss": ISSUER,
            "sub": f"pipeline:{pipeline}:ref:refs/heads/main",
            "aud": audience,
            "iat": NOW - 300_000_000,
            "nbf": NOW - 300_000_000,
            "exp": NOW + 300_000_000,
            "pipeline": pipeline,
        }
        return jwt.encode({"alg": "RS256"}, claims, self.key)


class FakeVault:
    """A server with one role, which may read `global` and the folder of its pipeline. status: of a login that is
    right."""

    def __init__(self, identities: Identities) -> None:
        self.url = ""
        self.status = 200
        self.logins: list[Mapping[str, Any]] = []
        """The claims of each login that was right."""
        self._identities = identities
        self._folders: dict[str, Mapping[str, Any]] = {}
        self._clients: dict[str, str] = {}

    @property
    def settings(self) -> VaultSettings:
        return VaultSettings(self.url, ROLE)

    async def put(self, folder: str, values: Mapping[str, Any] | None) -> None:
        """Write the fields of a folder, or remove it."""
        if values is None:
            self._folders.pop(folder, None)
        else:
            self._folders[folder] = values

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/auth/jwt/login", self._login)
        app.router.add_get("/v1/secret/data/danube/{folder}", self._read)
        return app

    async def _login(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        if asked["role"] != ROLE:
            return web.json_response({"errors": [f"role {asked['role']!r} could not be found"]}, status=400)
        try:
            claims = jwt.decode(asked["jwt"], self._identities.key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return web.json_response({"errors": ["error validating token"]}, status=400)
        if (claims["iss"], claims["aud"]) != (ISSUER, self.url):
            return web.json_response({"errors": ["invalid issuer or audience"]}, status=400)
        self.logins.append(claims)
        client = f"s.{len(self._clients)}"
        self._clients[client] = claims["pipeline"]
        return web.json_response({"auth": {"client_token": client}}, status=self.status)

    async def _read(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        pipeline = self._clients.get(request.headers.get("x-vault-token", ""))
        if pipeline is None or folder not in ("global", pipeline):
            return web.json_response({"errors": ["permission denied"]}, status=403)
        found = self._folders.get(folder)
        if found is None:
            return web.json_response({"errors": []}, status=404)
        return web.json_response({"data": {"data": found, "metadata": {"version": 1}}})
