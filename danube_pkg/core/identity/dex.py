"""Dex's configuration file, rendered from the applied configuration: the same users give the same text.

Dex reads static passwords only when it starts, so the service that runs Dex restarts it when the text has changed. A
user's id in Dex is Danube's own, so that neither a restart nor a new password changes the subject of their tokens.
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
    """external_url: Danube's own; Dex is reached below its `/dex`. listen: the address where Dex itself listens, on
    loopback. telemetry: the address of Dex's metrics. storage: Dex's SQLite file."""

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
        """The base URL of Dex itself, without its path."""
        return f"http://{self.listen}"

    @property
    def client(self) -> ClientSettings:
        """Danube's client settings for this issuer."""
        return ClientSettings(self.issuer, self.client_id, self.client_secret, device_client_id=self.device_client_id)


def render_dex(settings: DexSettings, people: Sequence[Person]) -> str:
    """The whole file. It is JSON, which is also YAML, so that names need no quoting rules of their own."""
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
                # A separate public client for device codes, because Dex shows a device client's secret to the browser.
                # Dex versions differ in whether the path of such logins has the prefix.
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
