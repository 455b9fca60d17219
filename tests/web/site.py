"""A server with users and teams, whose configuration lives in Git, for tests of the page.

site.pipeline("app", DANUBEFILE)
site.serve()
page = visitors.page("writer")
page.goto(f"{site.address}/jobs/{site.trigger('app')}")
"""

import json
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from tests.support.git_servers import git
from tests.support.server import Installation

PASSWORD = "correct horse battery staple"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()

PEOPLE: Mapping[str, Mapping[str, str]] = {
    "reader": {"readers": "member"},
    "writer": {"writers": "member"},
    "owner": {"core": "admin"},
    "admin": {"operators": "member"},
}
"""User → their teams, with their role in each."""

LEVELS = {"readers": "read", "writers": "write", "core": "admin"}
"""Team → its permission level on every pipeline."""


class Site(Installation):
    """A Danube on a fixed port, with the users of PEOPLE."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        settings = path / "danube.toml"
        text = settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{self.port}")
        settings.write_text(f'{text}\n[egress]\nhosts = {{"files.test" = "127.0.0.1"}}\n')
        self.address = f"http://127.0.0.1:{self.port}"

        self._configure("config", "Config", {"global": {"webhooks": [{"forge": "github", "secrets": ["hook"]}]}})
        self._configure(
            "users", "User", {name: {"email": f"{name}@example.com", "password_hash": HASH} for name in PEOPLE}
        )
        teams = {
            team: {
                "members": [
                    {"email": f"{name}@example.com", "role": roles[team]}
                    for name, roles in PEOPLE.items()
                    if team in roles
                ],
                **({"global_admin": True} if team == "operators" else {}),
            }
            for team in ("core", "readers", "writers", "operators")
        }
        self._configure("teams", "Team", teams)

    def serve(self, umask: int = -1) -> None:
        """Commit what was written since the last commit, then start the server."""
        if not (self.config / ".git").exists():
            git(self.config, "init", "-q", "-b", "main")
        self.commit()
        super().serve(umask)

    def commit(self, message: str = "change") -> str:
        """Commit everything in the configuration's directory; returns the commit's hash."""
        git(self.config, "add", "-A")
        git(self.config, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.config, "rev-parse", "HEAD")

    def sync(self) -> str:
        """Commit, make the server read the configuration, and return the commit's hash."""
        sha = self.commit()
        self.command("config", "sync", check=False)
        return sha

    def _configure(self, file: str, kind: str, specs: Mapping[str, object]) -> None:
        documents = [
            {"apiVersion": "danube.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
            for name, spec in specs.items()
        ]
        (self.config / f"{file}.yaml").write_text("\n---\n".join(map(json.dumps, documents)))

    def pipeline(self, name: str, danubefile: str | None, files: Mapping[str, str] | None = None, **spec: Any) -> Path:
        """As in the parent class; LEVELS gives the teams their permissions.

        Pods are small, so that many fit on the disk: the log of one that does not fit begins with a line that says so.
        """
        permissions = [{"team": team, "level": level} for team, level in LEVELS.items()]
        spec.setdefault("workspace_size_gb", 1)
        directory = super().pipeline(name, danubefile, files, permissions=permissions, **spec)
        written = self.config / "pipelines" / f"{name}.yaml"
        document = json.loads(written.read_text())
        document["metadata"]["team"] = "core"
        written.write_text(yaml.safe_dump(document, sort_keys=False))
        return directory
