"""One scenario on the fake of each forge, and on a real Gitea or Forgejo where DANUBE_TEST_GITEA names its program.

Without a human: repository, webhook, push, tag, force push, requests from a fork and without a branch, an
organisation's hook beside the repository's, pushes while the server does not run and while it drains, a rename, a bot
without access, a deploy key. Statuses are read back by the forge's own API.
"""

import contextlib
import json
import re
import socket
import subprocess
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from danube_pkg.core.repositories.forges import Forge
from tests.e2e.test_hooks import rows
from tests.fakes.forge import ADMIN, BOT, FakeForge
from tests.support.git_servers import git
from tests.support.gitea import CONTRIBUTOR, PROGRAM, RealGitea
from tests.support.server import Installation
from tests.support.waiting import wait_until
from tests.support.webhook_deliveries import SECRET, configure, port_of

pytestmark = pytest.mark.long

SECONDS = 90.0
REAL = "real"
A_REAL_ONE = [REAL] if PROGRAM else []
APP = "acme/app"
DANUBEFILE = """
    from danube import ctx, pipeline, step

    @pipeline(name="App")
    def app():
        step.run(f"echo built {ctx.commit_sha}; cat file", name="Build")
"""


class AnyForge(Protocol):
    """What the scenario does at a forge. name: `owner/name`. `statuses`: the state of each context of a commit."""

    @property
    def kind(self) -> Forge: ...
    @property
    def token(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    def create_repository(self, owner: str, name: str) -> str: ...
    def clone_url(self, name: str, user: str = "") -> str: ...
    def ssh_url(self, name: str) -> str: ...
    def add_hook(self, name: str, url: str, secret: str) -> None: ...
    def add_owner_hook(self, owner: str, url: str, secret: str) -> None: ...
    def add_deploy_key(self, name: str, public: str) -> None: ...
    def wait_pushed(self, name: str) -> None: ...
    def fork(self, name: str, user: str) -> str: ...
    def open_proposal(self, name: str, user: str, branch: str) -> int: ...
    def rename(self, name: str, new: str) -> None: ...
    def set_bot(self, name: str, may: str) -> None: ...
    def statuses(self, name: str, sha: str) -> Mapping[str, str]: ...


@pytest.fixture(params=[*Forge, *A_REAL_ONE])
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyForge]:
    if request.param != REAL:
        with FakeForge(request.param, tmp_path / "forge") as fake:
            yield fake
        return
    kind = Forge.FORGEJO if "forgejo" in Path(PROGRAM).name else Forge.GITEA
    with RealGitea(kind, tmp_path / "gitea") as real:
        yield real


class Scenario:
    """A team with one repository at the forge, and a Danube that builds it."""

    def __init__(self, forge: AnyForge, danube: Installation) -> None:
        self.forge, self.danube = forge, danube
        self.name = APP
        self.work = danube.path / "work"
        self.url = forge.create_repository("acme", "app")
        self.seen: set[str] = set()

    def start(self, *, manage: bool = False) -> None:
        """A repository with a commit, a configured server, and a webhook, which the server makes itself if it is to
        manage it."""
        self.work.mkdir()
        git(self.work, "init", "-q", "-b", "main")
        git(self.work, "remote", "add", "origin", self.forge.clone_url(self.name, ADMIN))
        (self.work / "danubefile.py").write_text(textwrap.dedent(DANUBEFILE))
        self.commit("first")
        self.push("main")
        self.forge.wait_pushed(self.name)
        rule = {
            "type": "https_token",
            "name": "bot",
            "token_secret": "forge-token",
            "username": BOT,
            "forge": str(self.forge.kind),
            "api_url": self.forge.api_url,
            "match_patterns": ["127.0.0.1:*/*"],
            "manage": manage,
        }
        webhook = {"forge": str(self.forge.kind), **({"manage": True} if manage else {"secrets": ["hook"]})}
        configure(self.danube, webhooks=[webhook], git_authentication=[rule])
        if manage:
            toml = self.danube.path / "danube.toml"
            server = f'[server]\nexternal_url = "http://127.0.0.1:{port_of(self.danube)}"'
            toml.write_text(toml.read_text().replace("[server]", server))
        triggers = [{"on": "push"}, {"on": "tag"}, {"on": "pull_request"}]
        self.danube.pipeline("app", None, repository=self.url, triggers=triggers)
        self.danube.serve()
        self.danube.command("secrets", "set", "hook", stdin=SECRET)
        self.danube.command("secrets", "set", "forge-token", stdin=self.forge.token.encode())
        self.danube.command("drain", "--timeout", "0")
        self.danube.command("resume")  # compares at once, with the token
        wait_until(lambda: rows(self.danube, "SELECT 1 FROM compared_repositories"), SECONDS, "the first comparison")
        if not manage:
            self.forge.add_hook(self.name, self.hook_url, SECRET.decode())
            return
        self.danube.sync()
        wait_until(
            lambda: rows(self.danube, "SELECT 1 FROM managed_hooks WHERE hook_id <> ''"),
            SECONDS,
            "the webhook to be made",
        )

    @property
    def hook_url(self) -> str:
        return f"http://127.0.0.1:{port_of(self.danube)}/hooks/{self.forge.kind}"

    def conditions(self, word: str = "") -> str:
        return "\n".join(line for line in self.danube.command("config", "status").stdout.splitlines() if word in line)

    def refused_while_draining(self) -> int:
        """How many deliveries were answered 503."""
        lines = self.danube.server_log.read_text().splitlines()
        return sum('"path": "/hooks/' in line and '"status": 503' in line for line in lines)

    # --- Git

    def commit(self, text: str) -> str:
        (self.work / "file").write_text(f"{text}\n")
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "-m", text)
        return git(self.work, "rev-parse", "HEAD")

    def push(self, *words: str, to: str = "origin") -> None:
        git(self.work, "push", "-q", to, *words)

    # --- what comes of it

    def new_jobs(self, count: int = 1) -> list[Mapping[str, Any]]:
        """Wait until exactly that many more jobs were made; oldest first."""

        def found() -> list[Mapping[str, Any]]:
            return [one for one in self.danube.jobs() if one["id"] not in self.seen]

        wait_until(lambda: len(found()) >= count, SECONDS, f"{count} new jobs\n{self.danube.server_log.read_text()}")
        wait_until(
            lambda: not rows(self.danube, "SELECT 1 FROM inbox WHERE settled_at IS NULL"), SECONDS, "a settled inbox"
        )
        jobs = sorted(found(), key=lambda one: str(one["id"]))
        assert len(jobs) == count, jobs
        self.seen |= {one["id"] for one in jobs}
        return jobs

    def built(self, sha: str, count: int = 1) -> Mapping[str, Any]:
        """The one new job, of that commit, ended well."""
        (job,) = self.new_jobs(count)
        assert job["trigger"]["commit_sha"] == sha
        assert self.danube.end_of(job["id"])["status"] == "success", self.danube.log(job["id"])
        return job

    def wait_status(self, sha: str, kind: str, state: str) -> None:
        context = f"danube/app/{kind}"

        def is_set() -> bool:
            return self.forge.statuses(self.name, sha).get(context) == state

        wait_until(is_set, SECONDS, f"{context} to be {state}")


@contextmanager
def refusing(port: int) -> Iterator[list[int]]:
    """In the place of the server: each connection is closed at once, and counted."""
    refused: list[int] = []
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:

        def close_all() -> None:
            with contextlib.suppress(OSError):  # the listener was closed
                while True:
                    connection, address = listener.accept()
                    connection.close()
                    refused.append(address[1])

        thread = threading.Thread(target=close_all, name="refusing", daemon=True)
        thread.start()
        yield refused
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS)


@pytest.fixture
def scenario(forge: AnyForge, danube: Installation, request: pytest.FixtureRequest) -> Scenario:
    made = Scenario(forge, danube)
    made.start(manage=getattr(request, "param", False))
    return made


def test_pushes_tags_and_lost_deliveries(scenario: Scenario) -> None:
    danube, forge = scenario.danube, scenario.forge
    # A push, a tag, a force push: each is one job with a status.
    second = scenario.commit("second")
    scenario.push("main")
    scenario.built(second)
    scenario.wait_status(second, "push", "success")
    git(scenario.work, "tag", "-a", "-m", "the first release", "v1")
    scenario.push("v1")
    scenario.built(second)
    scenario.wait_status(second, "tag", "success")
    git(scenario.work, "commit", "-q", "--amend", "-m", "second, better")
    better = git(scenario.work, "rev-parse", "HEAD")
    scenario.push("--force", "main")
    scenario.built(better)
    scenario.wait_status(better, "push", "success")
    # The hook of the organisation sends each push a second time.
    forge.add_owner_hook("acme", scenario.hook_url, SECRET.decode())
    twice = scenario.commit("delivered twice")
    scenario.push("main")
    scenario.built(twice)

    def both_arrived() -> bool:
        return len(rows(danube, f"SELECT 1 FROM inbox WHERE event LIKE '%{twice}%' AND settled_at > 0")) == 2

    wait_until(both_arrived, SECONDS, "the deliveries of both hooks")
    assert len(danube.jobs()) == len(scenario.seen)
    # The server does not run while two commits and a tag are pushed: the newest head and the tag are built, once.
    danube.kill()
    with refusing(port_of(danube)) as refused:
        scenario.commit("lost")
        scenario.push("main")
        newest = scenario.commit("lost as well")
        git(scenario.work, "tag", "v2")
        scenario.push("main", "v2")
        wait_until(lambda: len(refused) >= 2 * 3, SECONDS, "both hooks to be refused for each of three movements")
    danube.serve()
    jobs = scenario.new_jobs(2)
    assert [(one["trigger"]["commit_sha"], one["trigger"]["tag"] or one["trigger"]["branch"]) for one in jobs] == [
        (newest, "main"),
        (newest, "v2"),
    ]
    shown = danube.command("deliveries", "--source", "comparison").stdout
    assert f"branch main of {APP} at {newest[:12]}, found by comparison" in shown
    # Draining refuses deliveries; its end makes up for them.
    danube.command("drain", "--timeout", "90")
    drained = scenario.commit("pushed while draining")
    scenario.push("main")
    wait_until(lambda: scenario.refused_while_draining() >= 2, SECONDS, "both hooks to be answered 503")
    danube.command("resume")
    scenario.built(drained)
    danube.kill()
    danube.serve()
    again = scenario.commit("after a restart")
    scenario.push("main")
    scenario.built(again)


def test_requests_of_others_wait_for_an_approval(scenario: Scenario) -> None:
    danube, forge = scenario.danube, scenario.forge
    forge.fork(scenario.name, CONTRIBUTOR)
    git(scenario.work, "checkout", "-q", "-b", "topic")
    proposed = scenario.commit("a proposal")
    scenario.push("topic", to=forge.clone_url(f"{CONTRIBUTOR}/app", CONTRIBUTOR))
    number = forge.open_proposal(scenario.name, CONTRIBUTOR, "topic")
    (job,) = scenario.new_jobs()
    assert (job["reason"], job["trigger"]["commit_sha"]) == ("approval-required", proposed)
    assert danube.job(job["id"])["trigger"]["pull_request"]["number"] == number
    scenario.wait_status(proposed, "pr", "pending")
    danube.command("approve", job["id"], proposed)
    assert danube.end_of(job["id"])["status"] == "success", danube.log(job["id"])
    scenario.wait_status(proposed, "pr", "success")
    # A request without a branch: the forge reports the base repository as its source.
    if forge.kind in (Forge.GITEA, Forge.FORGEJO):
        without_branch = scenario.commit("a proposal without a branch")
        words = ("-o", "topic=x", "-o", "title=x", "HEAD:refs/for/main")
        scenario.push(*words, to=forge.clone_url(scenario.name, CONTRIBUTOR))
        (job,) = scenario.new_jobs()
        assert (job["reason"], job["trigger"]["commit_sha"]) == ("approval-required", without_branch)


def test_a_rename_and_a_bot_without_access(scenario: Scenario) -> None:
    danube, forge = scenario.danube, scenario.forge
    # The bot does not see the repository for a while: what it has to report is a condition, and arrives later.
    second = scenario.commit("second")
    scenario.push("main")
    scenario.built(second)
    scenario.wait_status(second, "push", "success")
    forge.set_bot(scenario.name, "")
    hidden = scenario.commit("the bot does not see this")
    scenario.push("main")
    wait_until(lambda: "answered 40" in scenario.conditions(), SECONDS, "the refusal to be shown")
    assert forge.statuses(scenario.name, hidden) == {}
    forge.set_bot(scenario.name, "admin")
    scenario.new_jobs()
    wait_until(lambda: bool(forge.statuses(scenario.name, hidden)), 3 * SECONDS, "the waiting status")
    # A repository that was renamed is read and reported to by its old name, and a condition names the new one.
    forge.rename(scenario.name, "app-two")
    scenario.name = "acme/app-two"
    renamed = scenario.commit("after the rename")
    scenario.push("main", to=forge.clone_url(scenario.name, ADMIN))
    wait_until(lambda: "app-two" in scenario.conditions(), SECONDS, "the new name to be shown")
    job = danube.trigger("app")
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    scenario.wait_status(renamed, "push", "success")


@pytest.mark.parametrize("scenario", [True], indirect=True, ids=["managed"])
def test_the_server_makes_the_webhook_by_itself(scenario: Scenario) -> None:
    danube, forge = scenario.danube, scenario.forge
    second = scenario.commit("second")
    scenario.push("main")
    scenario.built(second)
    scenario.wait_status(second, "push", "success")
    (found,) = json.loads(danube.command("forge", "check", "--json").stdout)
    assert found["good"], found
    assert found["delivered_at"]
    forge.set_bot(scenario.name, "read")
    refused = danube.command("forge", "check", check=False)
    assert refused.returncode == 1
    assert "may not set commit statuses" in refused.stdout
    assert "missing right of the credential" in refused.stdout


@pytest.mark.parametrize("forge", A_REAL_ONE, indirect=True)
def test_a_repository_is_read_with_the_deploy_key(scenario: Scenario) -> None:
    """The fakes are read over HTTP only; tests/adapters/git reads from an ssh server."""
    danube, forge = scenario.danube, scenario.forge
    url = forge.ssh_url(scenario.name)
    public = re.findall(r"ssh-ed25519 \S+", danube.command("keys").stdout)[0]
    forge.add_deploy_key(scenario.name, public)
    port = url.rpartition(":")[2].partition("/")[0]
    keys = subprocess.run(["ssh-keyscan", "-p", port, "127.0.0.1"], capture_output=True, check=True).stdout
    (danube.data / "keys" / "known_hosts").write_bytes(keys)
    danube.pipeline("by-key", None, repository=url, triggers=[{"on": "push"}])
    danube.sync()
    second = scenario.commit("second")
    scenario.push("main")
    jobs = scenario.new_jobs(2)
    assert {(one["pipeline"], one["trigger"]["commit_sha"]) for one in jobs} == {("app", second), ("by-key", second)}
    for one in jobs:
        assert danube.end_of(one["id"])["status"] == "success", danube.log(one["id"])
    (used,) = [danube.job(one["id"]) for one in jobs if one["pipeline"] == "by-key"]
    assert used["source_rule"] == "deploy key"
