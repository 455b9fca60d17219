"""Webhook deliveries: GitHub's as recorded, those of the other forges written after their manuals."""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from danube_pkg.core.repositories.forges import Forge

HERE = Path(__file__).parent

SECRET = b"It's a Secret to Everybody"


@dataclass(frozen=True)
class Recorded:
    """One delivery. Header names are in lower case, as the server passes them."""

    forge: Forge
    name: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.forge}-{self.name}"

    @property
    def document(self) -> dict[str, Any]:
        """A copy of the body, which a test may change."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed(self, secret: bytes = SECRET) -> dict[str, str]:
        """The headers with the signature that the forge adds."""
        digest = hmac.new(secret, self.body, hashlib.sha256).hexdigest()
        added = {
            Forge.GITHUB: {"x-hub-signature-256": f"sha256={digest}"},
            Forge.GITLAB: {"x-gitlab-token": secret.decode("latin-1")},
            Forge.GITEA: {"x-gitea-signature": digest, "x-hub-signature-256": f"sha256={digest}"},
            Forge.FORGEJO: {"x-forgejo-signature": digest, "x-gitea-signature": digest},
        }[self.forge]
        return {**self.headers, **added}


@cache
def recorded() -> tuple[Recorded, ...]:
    """All recorded deliveries."""
    return (*_github(), *_documented())


def one(forge: Forge, name: str) -> Recorded:
    """The delivery of a forge with that name."""
    return next(each for each in recorded() if each.forge is forge and each.name == name)


def _github() -> Iterator[Recorded]:
    counts: Counter[str] = Counter()
    for delivery in json.loads((HERE / "payloads/github.json").read_text()):
        event = delivery["event"]
        number = counts[event]
        counts[event] += 1
        headers = {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": f"72d3162e-cc78-11e3-81ab-4c9367dc{number:04}",
        }
        yield Recorded(Forge.GITHUB, f"{event}-{number}", headers, json.dumps(delivery["body"]).encode())


def _documented() -> Iterator[Recorded]:
    for forge in (Forge.GITLAB, Forge.GITEA, Forge.FORGEJO):
        for name, each in json.loads((HERE / f"payloads/{forge}.json").read_text()).items():
            yield Recorded(forge, name, each["headers"], json.dumps(each["body"]).encode())
