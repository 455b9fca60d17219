"""A webhook about the configuration repository makes the server apply the push at once; it polls only once an hour."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.ports import free_port
from tests.support.server import Installation
from tests.support.waiting import wait_until
from tests.support.webhook_deliveries import SECRET, Answer, Sender, github_headers, push_body

REFS_REQUEST = "GET /config.git/info/refs"


def document(kind: str, name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "danube.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def a_pipeline(name: str) -> Mapping[str, str]:
    return {f"pipelines/{name}.yaml": document("Pipeline", name, repository="/srv/app")}


CONFIG = document("Config", "global", webhooks=[{"forge": "github", "secrets": ["hook"]}])


class ConfiguredServer:
    """A server, its configuration on a Git server, and the forge that sends webhooks."""

    def __init__(self, danube: Installation, git: HttpServer, repository: ServedRepository) -> None:
        self.danube, self.git, self.repository = danube, git, repository
        self.url, self.port = git.url(repository), free_port()
        (danube.path / "danube.toml").write_text(
            f'[config_repo]\nurl = "{self.url}"\nbranch = "main"\nsync_interval = 3600\n'
            f'[server]\nbind_address = "127.0.0.1:{self.port}"\n'
        )

    def send_push(self, sha: str, branch: str = "main", delivery: str = "") -> Answer:
        """Send GitHub's webhook about a push."""
        body = push_body(self.url, sha, branch)
        sender = Sender(self.port)
        try:
            return sender.post("/hooks/github", body, github_headers(body, delivery or sha))
        finally:
            sender.close()

    @property
    def status(self) -> Mapping[str, Any]:
        found = json.loads(self.danube.command("config", "status", "--json", check=False).stdout)
        assert isinstance(found, dict)
        return found

    def wait_until_applied(self, revision: str) -> None:
        wait_until(lambda: self.status["applied_revision"] == revision, 30, f"{revision[:10]} to be applied")

    @property
    def pipelines(self) -> list[str]:
        return [one["name"] for one in json.loads(self.danube.command("pipelines", "--json").stdout)]

    @property
    def refs_requests(self) -> int:
        """How often the server has requested the refs; each sync that finds a new commit takes as many requests."""
        return sum(one.startswith(REFS_REQUEST) for one in self.git.requests)


@pytest.fixture
def setup(danube: Installation, tmp_path: Path) -> Iterator[ConfiguredServer]:
    with HttpServer(tmp_path / "served") as git:
        yield ConfiguredServer(danube, git, ServedRepository(tmp_path / "served" / "config.git"))


@pytest.mark.long
def test_a_webhook_applies_a_push_to_the_configuration(setup: ConfiguredServer) -> None:
    first = setup.repository.commit({"config.yaml": CONFIG, **a_pipeline("one")})
    setup.danube.serve()
    setup.danube.command("secrets", "set", "hook", stdin=SECRET)
    setup.wait_until_applied(first)
    second = setup.repository.commit(a_pipeline("two"))
    assert setup.send_push(second).document == {"delivery": second, "status": "accepted"}
    setup.wait_until_applied(second)
    assert setup.pipelines == ["one", "two"]

    bad = setup.repository.commit({"pipelines/three.yaml": "kind: Pipelin\n"})
    setup.send_push(bad)
    wait_until(lambda: setup.status["findings"], 30, "the finding")
    assert (setup.status["seen_revision"], setup.status["applied_revision"]) == (bad, second)
    assert setup.pipelines == ["one", "two"]


@pytest.mark.long
def test_a_push_to_another_branch_causes_no_sync(setup: ConfiguredServer) -> None:
    first = setup.repository.commit({"config.yaml": CONFIG, **a_pipeline("one")})
    setup.danube.serve()
    setup.danube.command("secrets", "set", "hook", stdin=SECRET)
    setup.wait_until_applied(first)
    once = setup.refs_requests
    assert setup.send_push("b" * 40, "draft").status == 202
    second = setup.repository.commit(a_pipeline("two"))
    setup.send_push(second)
    setup.wait_until_applied(second)
    assert setup.refs_requests == 2 * once, "the second sync was that of the second push"


@pytest.mark.long
def test_webhooks_work_once_config_sync_has_applied_the_first_configuration(setup: ConfiguredServer) -> None:
    first = setup.repository.commit({"config.yaml": CONFIG, **a_pipeline("one")})
    setup.git.stop()
    setup.danube.serve()
    setup.danube.command("secrets", "set", "hook", stdin=SECRET)
    refused = setup.send_push(first)
    assert (refused.status, refused.reference) == (401, "hook-signature-wrong")
    wait_until(lambda: setup.status["problem"], 30, "the first sync to fail")
    setup.git.start()
    assert json.loads(setup.danube.command("config", "sync", "--json").stdout)["applied_revision"] == first
    second = setup.repository.commit(a_pipeline("two"))
    assert setup.send_push(second).status == 202
    setup.wait_until_applied(second)
