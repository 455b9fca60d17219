"""A token service as the registry's documentation describes it, for a real registry that trusts its key."""

import base64
import datetime
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID

from tests.support.registry import PASSWORD, USER
from tests.support.rsa_keys import rsa_key

ISSUER, SERVICE = "issuer-of-tests", "registry-of-tests"
REFRESH_TOKEN = "stored-by-a-helper"


@dataclass
class TokenService:
    """asked: method and query of each request. open_to_all: tokens are issued without a password."""

    url: str
    certificate: Path
    open_to_all: bool = False
    lifetime_seconds: int = 300
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class _Signer:
    def __init__(self) -> None:
        self._key = rsa_key("a token service")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def token(self, claims: dict[str, Any]) -> str:
        chain = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        parts = [_url(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "RS256", "x5c": [chain]}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{_url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def token_service_running(directory: Path) -> Iterator[TokenService]:
    """Runs the service until the block ends."""
    signer = _Signer()
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            self.answer("GET", query, allowed=self.headers.get("Authorization") == basic)

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            query = dict(urllib.parse.parse_qsl(form))
            self.answer("POST", query, allowed=query.get("refresh_token") == REFRESH_TOKEN)

        def answer(self, method: str, query: dict[str, str], *, allowed: bool) -> None:
            made.asked.append((method, query))
            _, name, actions = query["scope"].split(":")
            granted = actions.split(",") if allowed or made.open_to_all else []
            now = int(time.time())
            claims = {
                "iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + made.lifetime_seconds, "nbf": now - 10, "iat": now,
                "jti": str(len(made.asked)), "access": [{"type": "repository", "name": name, "actions": granted}],
            }  # fmt: skip
            body = json.dumps({"token": signer.token(claims), "expires_in": made.lifetime_seconds}).encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:
            """Does not log: `asked` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    certificate = directory / "token.pem"
    certificate.write_bytes(signer.certificate.public_bytes(serialization.Encoding.PEM))
    made = TokenService(f"http://127.0.0.1:{server.server_address[1]}/token", certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="tokens")
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
