"""A thousand deliveries of all forges, valid and odd, in random order, while the server is killed again and again: each
that was answered is answered for."""

import dataclasses
import http.client
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.core.repositories.forges import Forge
from tests.core.triggers.webhooks.recorded import SECRET, Recorded, recorded
from tests.e2e.test_hooks import WAITING, cancel_queued_jobs, rows
from tests.services.triggers.test_every_delivery import odd
from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.server import Installation
from tests.support.waiting import wait_until
from tests.support.webhook_deliveries import Sender, configure, port_of

COUNT, CONNECTIONS, KILLS = 1000, 16, 4
SECONDS = 300.0
REPOSITORIES = {
    "github": "Codertocat/Hello-World",
    "gitlab": "mike/diaspora",
    "gitea": "gitea/webhooks",
}
HOSTS = (b"https://github.com", b"https://gitlab.example.org", b"https://gitea.example.org")
ID_HEADERS = ("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gitlab-event-uuid", "webhook-id")
STORED = (200, 202, 204, 400)
"""400 is the answer to one that is authentic and cannot be read; it is stored as well."""


def many(numbers: random.Random, address: str) -> Sequence[tuple[str, Recorded]]:
    """Each with an id of its own; half of them with an odd value."""
    every, found = recorded(), []
    for number in range(COUNT):
        one = numbers.choice(every)
        one = odd(one, numbers) if numbers.random() < 0.5 else one
        body = one.body
        for host in HOSTS:
            body = body.replace(host, address.encode())
        name = f"{one.forge}-{number}"
        headers = {key: name if key in ID_HEADERS else value for key, value in one.headers.items()}
        headers.pop("idempotency-key", None)
        if one.forge is Forge.GITLAB:
            headers["webhook-id"] = name
        found.append((name, dataclasses.replace(one, headers=headers, body=body)))
    return found


class Senders:
    """Sends each delivery until the server has answered it. answers: the status by id."""

    def __init__(self, danube: Installation, deliveries: Sequence[tuple[str, Recorded]]) -> None:
        self.danube = danube
        self.deliveries = deliveries
        self.answers: dict[str, int] = {}
        self.failures: list[str] = []

    def has_answers(self, count: int) -> bool:
        return len(self.answers) + len(self.failures) >= count

    def start(self) -> list[threading.Thread]:
        shares = [self.deliveries[at::CONNECTIONS] for at in range(CONNECTIONS)]
        threads = [
            threading.Thread(target=self._send, args=(share,), name=f"connection {at}", daemon=True)
            for at, share in enumerate(shares)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _send(self, share: Sequence[tuple[str, Recorded]]) -> None:
        sender = Sender(port_of(self.danube))
        for name, one in share:
            statuses: list[int] = []
            try:
                wait_until(partial(self._answered, sender, one, statuses), SECONDS, f"an answer to {name}")
            except AssertionError as error:
                self.failures.append(f"{error}: {statuses[-1:]}")
                continue
            self.answers[name] = statuses[-1]
        sender.close()

    def _answered(self, sender: Sender, one: Recorded, statuses: list[int]) -> bool:
        try:
            statuses.append(sender.post(f"/hooks/{one.forge}", one.body, one.signed()).status)
        except (OSError, http.client.HTTPException):
            return False  # the server was killed: the forge sends it again
        return statuses[-1] in STORED


def entries(danube: Installation) -> Mapping[str, int]:
    """How many rows there are of each delivery."""
    return Counter(
        key for (key,) in rows(danube, "SELECT key FROM inbox WHERE source NOT IN ('comparison', 'pipeline')")
    )


@pytest.mark.long
def test_each_delivery_of_every_forge_is_answered_for_through_kills(danube: Installation, tmp_path: Path) -> None:
    with HttpServer(tmp_path / "served") as server:
        address = f"http://127.0.0.1:{server.port}"
        hooks = [{"forge": str(forge), "secrets": ["hook"]} for forge in Forge]
        configure(danube, webhooks=hooks, max_concurrent_jobs=1)
        danube.pipeline("holder", WAITING)
        triggers = [{"on": "push"}, {"on": "tag"}, {"on": "pull_request"}]
        for name, path in REPOSITORIES.items():
            ServedRepository(tmp_path / "served" / path).commit({"file": "content\n"})
            danube.pipeline(name, None, repository=f"{address}/{path}", triggers=triggers)
        danube.serve()
        danube.command("secrets", "set", "hook", stdin=SECRET)
        holder = danube.trigger("holder")
        danube.wait_for_log(holder, "up")
        try:
            senders = Senders(danube, many(random.Random(7), address))
            threads = senders.start()
            for kill in range(1, KILLS + 1):
                wait_until(partial(senders.has_answers, COUNT * kill // (KILLS + 1)), SECONDS, "deliveries answered")
                danube.kill()
                danube.serve()
            for thread in threads:
                thread.join(SECONDS)
            check(danube, senders)
            assert danube.job(holder)["status"] == "running", "the running job continued"
        finally:
            cancel_queued_jobs(danube)
            danube.command("cancel", holder)


def check(danube: Installation, senders: Senders) -> None:
    """Each answered delivery is one settled entry, and each entry that started jobs has them once."""
    assert senders.failures == []
    assert len(senders.answers) == COUNT
    assert set(senders.answers.values()) >= {202, 204, 400}
    assert entries(danube) == dict.fromkeys(senders.answers, 1)
    wait_until(
        lambda: not rows(danube, "SELECT 1 FROM inbox WHERE settled_at IS NULL"), SECONDS, "the inbox to be settled"
    )
    answered_for = rows(
        danube,
        "SELECT key FROM inbox WHERE source NOT IN ('comparison', 'pipeline') AND "
        "(outcome <> '' OR EXISTS (SELECT 1 FROM inbox_outcomes WHERE entry = inbox.id))",
    )
    assert {key for (key,) in answered_for} == set(senders.answers)
    started = rows(
        danube,
        "SELECT pipeline, source || ':' || key FROM inbox_outcomes JOIN inbox ON inbox.id = entry "
        "WHERE result = 'started' AND job_id IN (SELECT id FROM jobs)",
    )
    made = rows(danube, "SELECT pipeline, origin FROM jobs WHERE origin <> ''")
    assert sorted(started) == sorted(made)
    assert len(set(made)) == len(made) > 0
