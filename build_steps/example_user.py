"""A copy of the example's configuration with one user, whose password is new each time.

A password in the repository would be public. The copy lies in the example's data directory; its pipelines still name
the applications of `examples/`.
"""

import secrets
from pathlib import Path

import bcrypt

EMAIL = "you@example.com"
ROUNDS = 10
"""The fewest that the configuration accepts; the password is random and lives as long as the example."""

PEOPLE = """apiVersion: danube.dev/v1
kind: User
metadata: {{name: you}}
spec:
  email: {email}
  password_hash: "{hash}"
---
apiVersion: danube.dev/v1
kind: Team
metadata: {{name: operators}}
spec:
  global_admin: true
  members: [{{email: {email}, role: admin}}]
"""


def configure(examples: Path, target: Path) -> tuple[Path, str]:
    """Write the copy and the settings into `target`; returns (path of the settings, password)."""
    password = secrets.token_urlsafe(9)
    configuration = examples / "config"
    for source in sorted(configuration.rglob("*.yaml")):
        copy = target / "config" / source.relative_to(configuration)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(source.read_text().replace("repository: ../", f"repository: {examples}/"))
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()
    (target / "config" / "users.yaml").write_text(PEOPLE.format(email=EMAIL, hash=hashed))
    settings = target / "danube.toml"
    settings.write_text((examples / "danube.toml").read_text())
    return settings, password
