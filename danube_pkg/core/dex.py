"""Dex's configuration, rendered from the applied one: the same people in, the same text out.

Dex reads static passwords only when it starts. So whoever runs Dex compares the text with what it last wrote and restarts
Dex when they differ; a person's id is Danube's own, so that a restart, or a new password, changes nobody's subject.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from danube_pkg.core.people import Person

PATH = "/dex"


@dataclass(frozen=True, slots=True)
class DexSettings:
    """`external_url`: Danube's own; Dex is behind its `/dex`. `listen`: where Dex itself listens, on loopback."""

    external_url: str
    client_secret: str = field(repr=False)
    listen: str = "127.0.0.1:5556"
    telemetry: str = "127.0.0.1:5558"
    storage: str = "/var/dex/dex.db"
    client_id: str = "danube"

    @property
    def issuer(self) -> str:
        return f"{self.external_url.rstrip('/')}{PATH}"


def render_dex(settings: DexSettings, people: Sequence[Person]) -> str:
    """The whole file. It is JSON, which is YAML too, so that no name needs a quoting rule of its own."""
    document = {
        "issuer": settings.issuer,
        "storage": {"type": "sqlite3", "config": {"file": settings.storage}},
        "web": {"http": settings.listen},
        "telemetry": {"http": settings.telemetry},
        "oauth2": {"skipApprovalScreen": True, "responseTypes": ["code"]},
        "enablePasswordDB": True,
        "staticClients": [
            {
                "id": settings.client_id,
                "name": "Danube",
                "secret": settings.client_secret,
                "redirectURIs": [f"{settings.external_url.rstrip('/')}/auth/callback", "/device/callback"],
            }
        ],
        "staticPasswords": [
            {
                "email": person.email,
                "hash": person.password_hash,
                "username": person.name,
                "name": person.name,
                "preferredUsername": person.name,
                "emailVerified": True,
                "userID": person.id,
            }
            for person in sorted(people, key=lambda one: one.id)
            if person.password_hash and not person.removed
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
