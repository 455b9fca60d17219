"""Dex's configuration, rendered from the applied one: the same people in, the same text out.

Dex reads static passwords only when it starts. So whoever runs Dex compares the text with what it last wrote and restarts
Dex when they differ; a person's id is Danube's own, so that a restart, or a new password, changes nobody's subject.
"""

import json
from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.identity.oidc import ClientSettings
from danube_pkg.core.identity.people import Person
from danube_pkg.kit.records import HIDDEN, Record

PATH = "/dex"
HEALTH_PATH = f"{PATH}/healthz"


class DexSettings(Record):
    """`external_url`: Danube's own; Dex is behind its `/dex`. `listen`: where Dex itself listens, on loopback."""

    external_url: str
    client_secret: Annotated[str, HIDDEN]
    listen: str = "127.0.0.1:5556"
    telemetry: str = "127.0.0.1:5558"
    storage: str = "/var/dex/dex.db"
    client_id: str = "danube"
    device_client_id: str = "danube-cli"

    @property
    def issuer(self) -> str:
        return f"{self.external_url.rstrip('/')}{PATH}"

    @property
    def url(self) -> str:
        """Where Dex itself is reached, without its path."""
        return f"http://{self.listen}"

    @property
    def client(self) -> ClientSettings:
        """Danube as this Dex knows it."""
        return ClientSettings(self.issuer, self.client_id, self.client_secret, device_client_id=self.device_client_id)


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
                "redirectURIs": [f"{settings.external_url.rstrip('/')}/auth/callback"],
            },
            {
                # A client of its own for device codes, because Dex shows a device client's secret to the browser. Versions
                # differ in whether its own path for such logins has the prefix.
                "id": settings.device_client_id,
                "name": "Danube's command line",
                "public": True,
                "redirectURIs": ["/device/callback", f"{PATH}/device/callback"],
            },
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
