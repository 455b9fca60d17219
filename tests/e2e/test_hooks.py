"""Webhooks at a real server: what is refused and how, and that everything that was accepted has its jobs, through kill -9."""

import json
import sqlite3
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.core.triggers.webhooks.deliveries import MAX_BODY_BYTES
from tests.e2e.hooks import (
    SECRET,
    SIGNING,
    Burst,
    Sender,
    configure,
    github_headers,
    gitlab_headers,
    gitlab_push_body,
    port_of,
    pull_body,
    push_body,
)
from tests.e2e.world import World
from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.github_app import GithubApi
from tests.support.waiting import wait_until

URL = "https://forge.example.org/team/app.git"
SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
PUSH = push_body(URL, SHA)
HELLO = """
    from danube import ctx, pipeline, step

    @pipeline(name="Hello")
    def hello():
        step.run(f"echo hello {ctx.commit_sha} on {ctx.branch or ctx.ref}; cat file", name="Hello")
"""
WAITING = """
    from danube import pipeline, step

    @pipeline(name="Waiting")
    def waiting():
        step.run("echo up; sleep 600", name="Wait")
"""


@pytest.fixture
def sender(world: World) -> Iterator[Sender]:
    """Of a server with a pipeline of a repository that nothing can fetch."""
    configure(world)
    world.pipeline("app", None, repository=URL, triggers=[{"on": "push"}])
    world.serve()
    world.danube("secrets", "set", "hook", stdin=SECRET)
    made = Sender(port_of(world))
    yield made
    made.close()


def test_each_refusal_has_its_own_status_and_reference(world: World, sender: Sender) -> None:
    def post(body: bytes, headers: dict[str, str], path: str = "/hooks/github") -> tuple[int, str]:
        answer = sender.post(path, body, headers)
        assert answer.status < 300 or answer.document["hint"] or answer.status == 413
        return answer.status, answer.reference

    good = github_headers(PUSH, "d1")
    unsigned = {name: value for name, value in good.items() if "signature" not in name}
    unknown = push_body("https://forge.example.org/team/other.git", SHA)
    assert post(PUSH, unsigned) == (401, "hook-signature-missing")
    assert post(PUSH.replace(b"alice", b"mallo"), good) == (401, "hook-signature-wrong")
    assert post(PUSH, github_headers(PUSH, "d1", secret=b"another secret")) == (401, "hook-signature-wrong")
    assert post(unknown, github_headers(unknown, "d1", secret=b"another secret")) == (401, "hook-signature-wrong")
    (refused,) = json.loads(world.danube("config", "status", "--json").stdout)["conditions"][-1:]
    assert refused["what"].startswith("webhooks of github have been refused since 20")
    assert refused["what"].endswith("(4 in a row)")
    with world.client.open("/metrics") as figures:
        assert b'danube_http_requests_total{route="/hooks/{forge}",status="401"} 4.0' in figures.read()
    assert "danube secrets set hook" in refused["hint"]
    assert post(unknown, github_headers(unknown, "d1")) == (404, "repository-unknown")
    assert post(PUSH, good, "/hooks/gitlab") == (400, "hook-of-another-forge")
    assert post(PUSH, good, "/hooks/forgejo") == (400, "hook-of-another-forge")
    assert post(PUSH, good, "/hooks/sourcehut") == (404, "no-such-path")
    assert post(b"{", github_headers(b"{", "d1")) == (400, "hook-not-understood")
    assert post(PUSH, {**good, "content-length": str(MAX_BODY_BYTES + 1)})[0] == 413
    assert post(b"{}", github_headers(b"{}", "d1", "star")) == (204, "")
    assert post(b"{}", github_headers(b"{}", "d1", "ping")) == (200, "")
    assert "are refused" not in world.danube("config", "status").stdout
    assert world.jobs() == []
    assert sender.post("/hooks/github", PUSH, good).document == {"delivery": "d1", "status": "accepted"}
    assert sender.post("/hooks/github", PUSH, good).document == {"delivery": "d1", "status": "known"}
    world.danube("drain")
    assert post(PUSH, github_headers(PUSH, "d2")) == (503, "draining")
    world.danube("resume")
    assert post(PUSH, github_headers(PUSH, "d2")) == (202, "")
    wait_until(lambda: len(world.jobs()) == 2, 30, "two jobs")
    kept = world.client.get("/api/v1/audit", {"action": "receive-hook"})["entries"]
    assert [(one["actor"], one["target"]) for one in kept] == [
        (f"delivery {name}", "github") for name in ("d2", "d1", "d1")
    ]


def test_gitlabs_signed_deliveries_are_believed_within_their_time_and_once(world: World, sender: Sender) -> None:
    world.danube("secrets", "set", "hook-new", stdin=SIGNING)
    body = gitlab_push_body(URL, SHA)

    def post(age_seconds: float, body_sent: bytes = body) -> tuple[int, str]:
        headers = gitlab_headers(body, "msg_1", time.time() - age_seconds)
        answer = sender.post("/hooks/gitlab", body_sent, headers)
        return answer.status, answer.reference or str(answer.document.get("status", ""))

    assert post(360) == (401, "hook-timestamp-old")
    assert post(-360) == (401, "hook-timestamp-old")
    assert post(0, body.replace(b"alice", b"mallo")) == (401, "hook-signature-wrong")
    unsigned = {name: value for name, value in gitlab_headers(body, "msg_1", 0).items() if name != "webhook-signature"}
    assert sender.post("/hooks/gitlab", body, unsigned).reference == "hook-signature-missing"
    githubs = {**unsigned, "x-hub-signature-256": github_headers(body, "d1")["x-hub-signature-256"]}
    assert sender.post("/hooks/gitlab", body, githubs).status == 401
    assert world.jobs() == []
    assert post(60) == (202, "accepted")
    assert post(0) == (200, "known"), "the same delivery, signed again"
    wait_until(world.jobs, 30, "the job")
    assert len(world.jobs()) == 1


def test_a_status_that_a_forge_refuses_is_shown_on_the_status_page(world: World) -> None:
    with GithubApi("1") as forge:
        url = f"{forge.url}/team/app.git"
        rule = {"type": "https_token", "name": "the-forge", "token_secret": "forge-token", "forge": "gitea"}
        configure(world, git_authentication=[{**rule, "match_patterns": ["127.0.0.1:*/*"]}])
        world.pipeline("app", None, repository=url, triggers=[{"on": "push"}])
        forge.answer_with = 401
        world.serve()
        world.danube("secrets", "set", "hook", stdin=SECRET)
        world.danube("secrets", "set", "forge-token", stdin=b"an old token")
        body = push_body(url, SHA)
        Sender(port_of(world)).post("/hooks/github", body, github_headers(body, "d1"))
        wait_until(lambda: "it answered 401" in world.danube("config", "status").stdout, 30, "the refusal to be shown")
        shown = world.danube("config", "status").stdout
        assert "danube secrets set" in shown
        assert "an old token" not in shown


def test_a_push_runs_the_commit_that_was_pushed_also_when_another_came_meanwhile(world: World, tmp_path: Path) -> None:
    app = ServedRepository(tmp_path / "served" / "team" / "app.git")
    with HttpServer(tmp_path / "served") as server:
        url = server.url(app)
        configure(world)
        world.pipeline("app", None, repository=url, triggers=[{"on": "push"}], branch_filter=["main"])
        first = app.commit({"danubefile.py": dedented(HELLO), "file": "one\n"})
        app.commit({"file": "two\n"})
        world.serve()
        world.danube("secrets", "set", "hook", stdin=SECRET)
        body = push_body(url, first)
        assert Sender(port_of(world)).post("/hooks/github", body, github_headers(body, "d1")).status == 202
        wait_until(world.jobs, 30, "the job")
        (job,) = world.jobs()
        assert world.end_of(job["id"])["status"] == "success", world.log(job["id"])
        assert f"hello {first} on main\none\n" in world.printed(job["id"])
        assert job["trigger"]["commit_message"] == "a change"

        topic = push_body(url, first, "topic")
        Sender(port_of(world)).post("/hooks/github", topic, github_headers(topic, "d2"))
        wait_until(lambda: "not-meant" in world.danube("deliveries").stdout, 30, "the second delivery to be settled")
        assert '"event": "hook-received"' in world.server_log.read_text()
        ignored, started = json.loads(world.danube("deliveries", "--source", "github", "--json").stdout)
        assert (ignored["event"], ignored["outcomes"][0]["why"]) == (
            "push to topic of team/app by alice",
            "its branch_filter (main) does not match the branch topic",
        )
        assert started["outcomes"] == [{"pipeline": "app", "result": "started", "why": "", "job": job["id"]}]


def test_strangers_code_waits_for_somebody_who_has_looked_at_it(world: World, tmp_path: Path) -> None:
    app = ServedRepository(tmp_path / "served" / "team" / "app.git")
    with HttpServer(tmp_path / "served") as server:
        url = server.url(app)
        configure(world)
        world.pipeline("app", None, repository=url, triggers=[{"on": "pull_request"}])
        sha = app.commit({"danubefile.py": dedented(STRANGE), "file": "one\n"})
        world.serve()
        world.danube("secrets", "set", "hook", stdin=SECRET)
        world.danube("secrets", "set", "DEPLOY_TOKEN", stdin=b"not for strangers")
        body = pull_body(url, sha)
        headers = github_headers(body, "d1", "pull_request")
        assert Sender(port_of(world)).post("/hooks/github", body, headers).status == 202
        wait_until(world.jobs, 30, "the job")
        (job,) = world.jobs()
        assert (job["status"], job["reason"]) == ("pending", "approval-required")
        explained = world.danube("explain", job["id"]).stdout
        assert f"danube approve {job['id']}" in explained
        assert world.danube("approve", job["id"], "b" * 40, check=False).returncode != 0
        assert world.job(job["id"])["status"] == "pending"
        world.danube("approve", job["id"], sha)
        end = world.end_of(job["id"])
        assert end["status"] == "success", world.log(job["id"])
        assert "refused: secret-of-untrusted-code" in world.printed(job["id"])
        assert world.files_with(b"not for strangers") == []


STRANGE = """
    from danube import ctx, pipeline, secrets, step

    @pipeline(name="Strange")
    def strange():
        assert ctx.branch == "" and ctx.pull_request["fork"]
        try:
            secrets.get("DEPLOY_TOKEN")
        except Exception as error:
            step.run(f"echo 'refused: {getattr(error, 'reference', error)}'", name="Say")
"""


def dedented(text: str) -> str:
    return textwrap.dedent(text)


def burst_through_kills(world: World, count: int, connections: int, kills: int) -> None:
    """Every delivery that was answered has exactly one job of each of two pipelines that it concerns, and none of a third."""
    configure(world, max_concurrent_jobs=1)
    world.pipeline("holder", WAITING)
    for name in ("first", "second"):
        world.pipeline(name, None, repository=URL, triggers=[{"on": "push"}])
    world.pipeline("third", None, repository=URL, triggers=[{"on": "push"}], branch_filter=["release/*"])
    world.serve()
    world.danube("secrets", "set", "hook", stdin=SECRET)
    holder = world.trigger("holder")
    world.wait_for_log(holder, "up")
    try:
        burst = send_through_kills(world, count, connections, kills)
        made = Counter(rows(world, "SELECT pipeline, origin FROM jobs WHERE pipeline <> 'holder'"))
        assert set(made) == {(name, f"github:{one}") for name in ("first", "second") for one in burst.bodies}
        assert set(made.values()) == {1}
        assert world.job(holder)["status"] == "running", "what ran went on"
    finally:
        cancel_what_waits(world)
        world.danube("cancel", holder)


def send_through_kills(world: World, count: int, connections: int, kills: int) -> Burst:
    """All of them, each until it is answered, and everything that was taken is settled."""
    bodies = {f"delivery-{number}": push_body(URL, f"{number:040x}") for number in range(1, count + 1)}
    burst = Burst(world, bodies, connections)
    threads = burst.start()
    for kill in range(1, kills + 1):
        wait_until(partial(burst.has_answers, count * kill // (kills + 1)), 90, "deliveries to be answered")
        world.kill()
        world.serve()
    for thread in threads:
        thread.join(120)
    assert burst.failures == []
    assert burst.answered == count
    wait_until(lambda: not rows(world, "SELECT 1 FROM inbox WHERE settled_at IS NULL"), 60, "the inbox to be empty")
    return burst


def rows(world: World, sql: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(f"file:{world.data / 'danube.db'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def cancel_what_waits(world: World) -> None:
    """Before what runs, or the next would start when its place is free."""
    waiting = [job_id for (job_id,) in rows(world, "SELECT id FROM jobs WHERE phase = 'queued'")]

    def cancel(ids: list[str]) -> None:
        for job_id in ids:
            world.client.post(f"/api/v1/jobs/{job_id}/cancel")

    threads = [threading.Thread(target=cancel, args=(waiting[at::4],), name=f"cancel {at}") for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_burst_through_a_kill_starts_each_job_once(world: World) -> None:
    burst_through_kills(world, count=120, connections=16, kills=1)


@pytest.mark.long
def test_a_thousand_webhooks_over_64_connections_through_kills_start_each_job_once(world: World) -> None:
    burst_through_kills(world, count=1000, connections=64, kills=4)
