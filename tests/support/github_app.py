"""A forge's API on loopback, like GitHub's: installation tokens for an App with a valid JWT, commit statuses."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.support.rsa_keys import rsa_key


class GithubApi:
    """`with GithubApi(app_id="1") as api`. tokens: the issued ones; statuses: (path, authorization, body) of each."""

    def __init__(self, app_id: str, *, token_seconds: float = 3600) -> None:
        self.app_id = app_id
        key = rsa_key(f"the app {app_id} of GitHub")
        self.private_key = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        self._public = RSAKey.import_key(self.private_key)
        self.token_seconds = token_seconds
        self.tokens: list[str] = []
        self.asked: list[Mapping[str, Any]] = []
        self.statuses: list[tuple[str, str, Mapping[str, Any]]] = []
        self.answer_with = 0

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = owner._answer(self.path, self.headers.get("Authorization", ""), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="github-api", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str, authorization: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        if self.answer_with:
            return self.answer_with, {"message": "as the test wants it"}
        if path.startswith("/app/installations/"):
            try:
                claims = jwt.decode(authorization.removeprefix("Bearer "), self._public, algorithms=["RS256"]).claims
            except JoseError:
                return 401, {"message": "A JSON web token could not be decoded"}
            now = datetime.now(UTC).timestamp()
            if claims["iss"] != self.app_id or not claims["iat"] <= now <= claims["exp"] <= claims["iat"] + 600:
                return 401, {"message": "the claims are wrong"}
            self.asked.append(body)
            self.tokens.append(f"ghs_installation{len(self.tokens)}OfThisApp")
            expires = datetime.now(UTC) + timedelta(seconds=self.token_seconds)
            return 201, {"token": self.tokens[-1], "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.statuses.append((path, authorization, body))
        return 201, {"id": 1}
