"""A real Gitea or Forgejo on loopback, with what an administrator does at it, by its own API.

`DANUBE_TEST_GITEA` names the program. Its folder is removed with the test's.
"""

import base64
import http.client
import json
import os
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from danube_pkg.core.repositories.forges import Forge
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROGRAM = os.environ.get("DANUBE_TEST_GITEA", "")
PASSWORD = "a-password-of-a-test"
ADMIN, BOT, CONTRIBUTOR = "ada", "danube-bot", "mallory"
START_SECONDS = 120.0


class RealGitea:
    """The operations of `tests.fakes.forge.FakeForge`, at a real one."""

    def __init__(self, kind: Forge, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.port, self.ssh_port = free_port(), free_port()
        self.token = ""
        self._process: subprocess.Popen[bytes] | None = None

    # --- the program

    def start(self) -> None:
        self.path.mkdir(parents=True)
        (self.path / "app.ini").write_text(self._settings())
        self._command("migrate")
        for user, more in ((ADMIN, ("--admin",)), (BOT, ()), (CONTRIBUTOR, ())):
            names = ("--username", user, "--password", PASSWORD, "--email", f"{user}@example.org")
            self._command("admin", "user", "create", *names, "--must-change-password=false", *more)
        words = ("--username", BOT, "--token-name", "danube", "--scopes", "write:repository", "--raw")
        self.token = self._command("admin", "user", "generate-access-token", *words).split()[-1]
        with (self.path / "gitea.log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "web", "--config", str(self.path / "app.ini")],
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        wait_until(self._answers, START_SECONDS, "Gitea to answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def version(self) -> str:
        return str(self._api("GET", "/version")["version"])

    def _settings(self) -> str:
        user = os.environ.get("USER") or "root"
        return textwrap.dedent(f"""
            APP_NAME = Gitea for tests
            RUN_USER = {user}
            WORK_PATH = {self.path}
            [server]
            HTTP_ADDR = 127.0.0.1
            HTTP_PORT = {self.port}
            ROOT_URL = http://127.0.0.1:{self.port}/
            DOMAIN = 127.0.0.1
            SSH_DOMAIN = 127.0.0.1
            START_SSH_SERVER = true
            BUILTIN_SSH_SERVER_USER = git
            SSH_LISTEN_HOST = 127.0.0.1
            SSH_PORT = {self.ssh_port}
            SSH_LISTEN_PORT = {self.ssh_port}
            OFFLINE_MODE = true
            LFS_START_SERVER = false
            [database]
            DB_TYPE = sqlite3
            PATH = {self.path}/gitea.db
            [security]
            INSTALL_LOCK = true
            PASSWORD_HASH_ALGO = pbkdf2$1000$50
            [service]
            DISABLE_REGISTRATION = true
            [webhook]
            ALLOWED_HOST_LIST = loopback
            DELIVER_TIMEOUT = 10
            [mailer]
            ENABLED = false
            [cron]
            ENABLED = false
            [actions]
            ENABLED = false
            [log]
            LEVEL = Warn
            """)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "USER": os.environ.get("USER") or "root",
            "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true",
        }

    def _command(self, *words: str) -> str:
        done = subprocess.run(
            [PROGRAM, *words, "--config", str(self.path / "app.ini")],
            capture_output=True,
            env=self._environment(),
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.path / "gitea.log").read_text()
        try:
            return bool(self.version)
        except OSError:
            return False

    def _api(self, verb: str, path: str, body: Mapping[str, Any] | None = None, user: str = ADMIN) -> Any:
        login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(verb, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        assert response.status < 300, f"{verb} {path}: {response.status} {text.decode()}"
        return json.loads(text or b"{}")

    # --- what an administrator does at the forge

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    def create_repository(self, owner: str, name: str) -> str:
        """Its URL, without a login. It is private; the bot administers it and the contributor reads it."""
        organisations = {one["username"] for one in self._api("GET", "/orgs")}
        if owner not in organisations:
            self._api("POST", "/orgs", {"username": owner})
        self._api("POST", f"/orgs/{owner}/repos", {"name": name, "private": True, "default_branch": "main"})
        self._api("PUT", f"/repos/{owner}/{name}/collaborators/{CONTRIBUTOR}", {"permission": "read"})
        self.set_bot(f"{owner}/{name}", "admin")
        return self.clone_url(f"{owner}/{name}")

    def clone_url(self, name: str, user: str = "") -> str:
        login = f"{user}:{PASSWORD}@" if user else ""
        return f"http://{login}127.0.0.1:{self.port}/{name}.git"

    def ssh_url(self, name: str) -> str:
        return f"ssh://git@127.0.0.1:{self.ssh_port}/{name}.git"

    def wait_pushed(self, name: str) -> None:
        """Until the first push was processed: webhooks that are made before that would report it."""

        def is_processed() -> bool:
            found = self._api("GET", f"/repos/{name}/activities/feeds")
            return any(one["op_type"] == "commit_repo" for one in found)

        wait_until(is_processed, START_SECONDS, "the push to be processed")

    def add_hook(self, name: str, url: str, secret: str) -> None:
        self._api("POST", f"/repos/{name}/hooks", _hook(url, secret))

    def add_owner_hook(self, owner: str, url: str, secret: str) -> None:
        self._api("POST", f"/orgs/{owner}/hooks", _hook(url, secret))

    def add_deploy_key(self, name: str, public: str) -> None:
        self._api("POST", f"/repos/{name}/keys", {"title": "danube", "key": public, "read_only": True})

    def fork(self, name: str, user: str) -> str:
        """The URL of a user's fork."""
        self._api("POST", f"/repos/{name}/forks", {}, user)
        return self.clone_url(f"{user}/{name.partition('/')[2]}")

    def open_proposal(self, name: str, user: str, branch: str) -> int:
        """A pull request from a user's fork into main."""
        body = {"head": f"{user}:{branch}", "base": "main", "title": "A proposal"}
        return int(self._api("POST", f"/repos/{name}/pulls", body, user)["number"])

    def rename(self, name: str, new: str) -> None:
        self._api("PATCH", f"/repos/{name}", {"name": new})

    def set_bot(self, name: str, may: str) -> None:
        """may: `admin`, `write`, `read`, or "" for a bot that does not see the repository."""
        path = f"/repos/{name}/collaborators/{BOT}"
        if may:
            self._api("PUT", path, {"permission": may})
        else:
            self._api("DELETE", path)

    def statuses(self, name: str, sha: str) -> Mapping[str, str]:
        """The newest state of each context, in the forge's words."""
        found = self._api("GET", f"/repos/{name}/commits/{sha}/statuses?limit=50")
        return {one["context"]: one["status"] for one in sorted(found, key=lambda one: int(one["id"]))}


def _hook(url: str, secret: str) -> dict[str, Any]:
    config = {"url": url, "content_type": "json", "secret": secret}
    return {"type": "gitea", "config": config, "events": ["push", "pull_request"], "active": True}
