"""Sends webhooks as a forge does: signed, over kept connections, repeated where there was no response."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.support.server import Installation
from tests.support.waiting import wait_until

SECRET = b"a secret of the webhook"
SIGNING = b"whsec_" + base64.b64encode(b"a signing token as GitLab makes it")
SECONDS = 90.0


def configure(danube: Installation, **spec: Any) -> None:
    """Write config.yaml with webhook secrets and `spec`, and a port that stays the same over restarts."""
    webhooks = [{"forge": forge, "secrets": ["hook", "hook-new"]} for forge in ("github", "gitlab", "gitea")]
    document = {
        "apiVersion": "danube.dev/v1",
        "kind": "Config",
        "metadata": {"name": "global"},
        "spec": {"webhooks": webhooks, **spec},
    }
    (danube.config / "config.yaml").write_text(json.dumps(document))
    toml = danube.path / "danube.toml"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        toml.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{one.getsockname()[1]}", toml.read_text()))


def port_of(danube: Installation) -> int:
    found = re.search(r"127\.0\.0\.1:(\d+)", (danube.path / "danube.toml").read_text())
    assert found is not None
    return int(found[1])


def push_body(
    repository: str, sha: str, branch: str = "main", files: Sequence[str] = ("a",), message: str = "a change"
) -> bytes:
    """The used fields of GitHub's push event. repository: the clone URL."""
    commit = {"id": sha, "message": message, "added": list(files), "modified": [], "removed": []}
    return json.dumps(
        {
            "ref": f"refs/heads/{branch}",
            "before": "1" * 40,
            "after": sha,
            "repository": {"full_name": "team/app", "clone_url": repository},
            "sender": {"login": "alice"},
            "commits": [commit],
            "head_commit": commit,
        }
    ).encode()


def pull_body(
    repository: str,
    sha: str,
    action: str = "opened",
    source: str = "contributor/app",
    title: str = "Please take this",
) -> bytes:
    """GitHub's pull request number 7, from a fork unless its source is the repository itself."""
    pull = {
        "title": title,
        "html_url": "https://forge.example.org/team/app/pull/7",
        "user": {"login": "contributor"},
        "head": {"ref": "topic", "sha": sha, "repo": {"id": 1 if source == "team/app" else 2, "full_name": source}},
        "base": {"ref": "main", "sha": "1" * 40, "repo": {"id": 1}},
    }
    return json.dumps(
        {
            "action": action,
            "number": 7,
            "pull_request": pull,
            "repository": {"id": 1, "full_name": "team/app", "clone_url": repository},
            "sender": {"login": "contributor"},
        }
    ).encode()


def github_headers(body: bytes, delivery: str, event: str = "push", secret: bytes = SECRET) -> dict[str, str]:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={digest}",
    }


def gitlab_push_body(repository: str, sha: str) -> bytes:
    """The used fields of GitLab's push event."""
    return json.dumps(
        {
            "object_kind": "push",
            "ref": "refs/heads/main",
            "before": "1" * 40,
            "after": sha,
            "checkout_sha": sha,
            "user_username": "alice",
            "project": {"path_with_namespace": "team/app", "git_http_url": repository},
            "commits": [{"id": sha, "message": "a change", "added": ["a"], "modified": [], "removed": []}],
            "total_commits_count": 1,
        }
    ).encode()


def gitlab_headers(body: bytes, delivery: str, at: float) -> dict[str, str]:
    """Signed at that time as https://www.standardwebhooks.com has it, here by its reference implementation."""
    moment = datetime.fromtimestamp(int(at), UTC)
    return {
        "content-type": "application/json",
        "x-gitlab-event": "Push Hook",
        "x-gitlab-event-uuid": delivery,
        "webhook-id": delivery,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": Webhook(SIGNING.decode()).sign(delivery, moment, body.decode()),
    }


@dataclass(frozen=True)
class Answer:
    status: int
    document: Mapping[str, Any]

    @property
    def reference(self) -> str:
        return str(self.document.get("reference", ""))


class Sender:
    """A kept connection, which is opened again after the server has closed it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            self._connection.request("POST", path, body, dict(headers))
            response = self._connection.getresponse()
            return Answer(response.status, json.loads(response.read() or b"{}"))
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


@dataclass
class Burst:
    """Many deliveries over many connections at once. accepted: ids that were answered 202; known: 200, for a delivery
    that the server had stored before it was killed."""

    danube: Installation
    bodies: Mapping[str, bytes]
    connections: int
    accepted: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return len(self.accepted) + len(self.known)

    def has_answers(self, count: int) -> bool:
        return self.answered >= count

    def start(self) -> list[threading.Thread]:
        ids = list(self.bodies)
        threads = [
            threading.Thread(
                target=self._send, args=(ids[at :: self.connections],), name=f"connection {at}", daemon=True
            )
            for at in range(self.connections)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _send(self, ids: Sequence[str]) -> None:
        sender = Sender(port_of(self.danube))
        for delivery in ids:
            body = self.bodies[delivery]
            answers: list[Answer] = []

            def was_answered(
                body: bytes = body, delivery: str = delivery, answers: list[Answer] = answers, sender: Sender = sender
            ) -> bool:
                try:
                    answers.append(sender.post("/hooks/github", body, github_headers(body, delivery)))
                except (OSError, http.client.HTTPException):
                    return False  # the server was killed: a forge sends it again
                return answers[-1].status in (200, 202)

            try:
                wait_until(was_answered, SECONDS, f"an answer to {delivery}")
            except AssertionError as error:
                self.failures.append(f"{error}: {answers[-1:]}")
                return
            (self.accepted if answers[-1].status == 202 else self.known).add(delivery)
        sender.close()
