"""A program that stands in for Dex where there is none: `python -m tests.fakes.dex serve FILE`.

It takes Dex's command line, reads the part of Dex's file that Danube writes, and speaks Dex's paths: discovery, keys,
the form for a password, the token endpoint with PKCE, device codes (RFC 8628), health. Its key and what is under way
are in its SQLite file, as Dex's are, so that both survive a restart. DANUBE_TEST_DEX names a real one, which the same
tests take instead.
"""

import asyncio
import base64
import hashlib
import html
import json
import os
import secrets
import shlex
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import bcrypt
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ROOT = Path(__file__).resolve().parents[2]
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def dex_program(directory: Path) -> Path:
    """The program for a `[dex]` table: a script that becomes this one, or the real Dex that DANUBE_TEST_DEX names."""
    script = directory / "dex"
    program = f"{shlex.quote(sys.executable)} -m tests.fakes.dex"
    if named := os.environ.get("DANUBE_TEST_DEX"):
        program = shlex.quote(named)
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {program} "$@"\n')
    script.chmod(0o755)
    return script


class Storage:
    """What Dex keeps in its database: kind and name → a document."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, document TEXT)")

    def keep(self, kind: str, document: Any, name: str = "") -> str:
        name = name or secrets.token_urlsafe(16)
        self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (f"{kind}/{name}", json.dumps(document)))
        return name

    def load(self, kind: str, name: str) -> Any:
        row = self._database.execute("SELECT document FROM kept WHERE name = ?", (f"{kind}/{name}",)).fetchone()
        return json.loads(row[0]) if row else None

    def take(self, kind: str, name: str) -> Any:
        found = self.load(kind, name)
        self._database.execute("DELETE FROM kept WHERE name = ?", (f"{kind}/{name}",))
        return found


class FakeDex:
    """One issuer, as its file says."""

    def __init__(self, document: dict[str, Any]) -> None:
        assert document["storage"]["type"] == "sqlite3"
        assert document["enablePasswordDB"]
        self.document = document
        self.issuer: str = document["issuer"]
        self.prefix = urlsplit(self.issuer).path
        self.clients = {client["id"]: client for client in document["staticClients"]}
        self.people = {person["email"].lower(): person for person in document["staticPasswords"]}
        self.storage = Storage(document["storage"]["config"]["file"])
        if self.storage.load("key", "signing") is None:
            made = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig"})
            self.storage.keep("key", made.as_dict(private=True), "signing")
        self.key = RSAKey.import_key(self.storage.load("key", "signing"))

    def application(self) -> web.Application:
        made = web.Application()
        routes = {
            "/.well-known/openid-configuration": self.discovery,
            "/keys": self.keys,
            "/auth": self.auth,
            "/auth/local/login": self.login,
            "/token": self.token,
            "/device/code": self.device_code,
            "/device": self.device,
            "/device/auth/verify_code": self.verify_code,
            "/device/callback": self.device_callback,
            "/healthz": self.health,
        }
        for path, handler in routes.items():
            made.router.add_route("*", self.prefix + path, handler)
        return made

    # --- without a login

    async def health(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="Health check passed")

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        endpoints = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "jwks_uri": "keys",
            "device_authorization_endpoint": "device/code",
        }
        return web.json_response(
            {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in endpoints.items()}}
        )

    async def keys(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    # --- the browser

    async def auth(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client["redirectURIs"]:
            return web.Response(status=400, text="Unregistered redirect_uri.")
        state = self.storage.keep("request", asked)
        raise web.HTTPFound(f"{self.prefix}/auth/local/login?state={state}")

    async def login(self, request: web.Request) -> web.StreamResponse:
        state = request.query.get("state", "")
        asked = self.storage.load("request", state)
        if asked is None:
            return web.Response(status=400, text="User session error.")
        if request.method == "GET":
            return _form(f"{self.prefix}/auth/local/login?state={state}", {"login": "", "password": ""})
        form = await request.post()
        person = self.people.get(str(form["login"]).lower())
        if person is None or not bcrypt.checkpw(str(form["password"]).encode(), person["hash"].encode()):
            return web.Response(status=401, text="Invalid Email Address and password.")
        self.storage.take("request", state)
        code = self.storage.keep("code", {**asked, "email": person["email"]})
        raise web.HTTPSeeOther(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    # --- Danube

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form["grant_type"] == DEVICE_GRANT:
            return self._device_token(form)
        client_id, secret = _basic(request.headers.get("authorization", ""))
        client = self.clients.get(client_id)
        if client is None or client.get("secret", "") != secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self.storage.take("code", form["code"])
        if asked is None or asked["client_id"] != client_id or asked["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if not _proven(form["code_verifier"], asked["code_challenge"]):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(self._tokens(client_id, asked))

    def _tokens(self, client_id: str, asked: dict[str, str]) -> dict[str, str]:
        person, now = self.people[asked["email"].lower()], int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": _subject(person["userID"]),
            "aud": client_id,
            "iat": now,
            "exp": now + 86400,
            "email": person["email"],
            "email_verified": True,
            "name": person["username"],
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
        }
        return {"token_type": "bearer", "id_token": jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)}

    # --- devices

    async def device_code(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        client = self.clients[str(form["client_id"])]
        assert client.get("public"), "Dex shows this client's secret to browsers"
        code, user_code = secrets.token_urlsafe(16), secrets.token_hex(4).upper()
        self.storage.keep("device", {"client": client["id"], "challenge": form["code_challenge"]}, code)
        self.storage.keep("user-code", code, user_code)
        page = f"{self.issuer}/device"
        return web.json_response(
            {
                "device_code": code,
                "user_code": user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={user_code}",
                "expires_in": 300,
                "interval": 1,
            }
        )

    async def device(self, request: web.Request) -> web.StreamResponse:
        return _form(f"{self.prefix}/device/auth/verify_code", {"user_code": request.query.get("user_code", "")})

    async def verify_code(self, request: web.Request) -> web.StreamResponse:
        user_code = str((await request.post())["user_code"])
        device = self.storage.load("device", self.storage.load("user-code", user_code))
        asked = {"client_id": device["client"], "state": user_code, "redirect_uri": f"{self.prefix}/device/callback"}
        raise web.HTTPFound(f"{self.prefix}/auth?{urlencode(asked)}")

    async def device_callback(self, request: web.Request) -> web.StreamResponse:
        name = self.storage.load("user-code", request.query["state"])
        asked = self.storage.take("code", request.query["code"])
        self.storage.keep("device", self.storage.load("device", name) | {"email": asked["email"]}, name)
        return web.Response(text="Login Successful for Danube's command line")

    def _device_token(self, form: dict[str, str]) -> web.StreamResponse:
        device = self.storage.load("device", form["device_code"])
        if device is None or not _proven(form["code_verifier"], device["challenge"]):
            return web.json_response({"error": "invalid_request"}, status=400)
        if "email" not in device:
            return web.json_response({"error": "authorization_pending"}, status=401)
        return web.json_response(self._tokens(device["client"], {"email": device["email"]}))


def _form(action: str, fields: dict[str, str]) -> web.Response:
    inputs = "".join(f'<input name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
    text = f'<!doctype html><title>dex</title><form method="post" action="{html.escape(action)}">{inputs}</form>'
    return web.Response(text=text, content_type="text/html")


def _basic(header: str) -> tuple[str, str]:
    name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return unquote(name), unquote(secret)


def _proven(verifier: str, challenge: str) -> bool:
    return _url_safe(hashlib.sha256(verifier.encode()).digest()) == challenge


def _subject(user_id: str) -> str:
    """As Dex makes it: a protocol buffer of the user's id and the connector's."""
    return _url_safe(b"".join(bytes((tag, len(text))) + text for tag, text in ((10, user_id.encode()), (18, b"local"))))


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def _serve(document: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(FakeDex(document).application())
    await runner.setup()
    host, _, port = document["web"]["http"].rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    print('level=INFO msg="listening on" server=http', flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    command, file = sys.argv[1:]
    assert command == "serve"
    asyncio.run(_serve(json.loads(Path(file).read_text())))
