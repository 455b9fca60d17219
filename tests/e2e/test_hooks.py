"""Webhooks at a real server: refusals, and each accepted delivery starts its jobs exactly once, also through kill
-9."""

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
from tests.support.git_servers import HttpServer, ServedRepository
from tests.support.github_app import GithubApi
from tests.support.server import Installation
from tests.support.waiting import wait_until
from tests.support.webhook_deliveries import (
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
def sender(danube: Installation) -> Iterator[Sender]:
    """Sends to a server with a pipeline whose repository cannot be fetched."""
    configure(danube)
    danube.pipeline("app", None, repository=URL, triggers=[{"on": "push"}])
    danube.serve()
    danube.command("secrets", "set", "hook", stdin=SECRET)
    made = Sender(port_of(danube))
    yield made
    made.close()


def test_each_refusal_has_its_own_status_and_reference(danube: Installation, sender: Sender) -> None:
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
    (refused,) = json.loads(danube.command("config", "status", "--json").stdout)["conditions"][-1:]
    assert refused["what"].startswith("webhooks of github have been refused since 20")
    assert refused["what"].endswith("(4 in a row)")
    with danube.client.open("/metrics") as figures:
        assert b'danube_http_requests_total{route="/hooks/{forge}",status="401"} 4.0' in figures.read()
    assert "danube secrets set hook" in refused["hint"]
    answer = sender.post("/hooks/github", unknown, github_headers(unknown, "d0"))
    assert (answer.status, answer.document) == (202, {"delivery": "d0", "status": "no-pipeline"})
    assert post(PUSH, good, "/hooks/gitlab") == (400, "hook-of-another-forge")
    assert post(PUSH, good, "/hooks/forgejo") == (400, "hook-of-another-forge")
    assert post(PUSH, good, "/hooks/sourcehut") == (404, "no-such-path")
    assert post(b"{", github_headers(b"{", "d-odd")) == (400, "hook-not-understood")
    assert "cannot be read" in danube.command("deliveries").stdout
    assert post(PUSH, {**good, "content-length": str(MAX_BODY_BYTES + 1)})[0] == 413
    assert post(b"{}", github_headers(b"{}", "d1", "star")) == (204, "")
    assert post(b"{}", github_headers(b"{}", "d1", "ping")) == (200, "")
    assert "are refused" not in danube.command("config", "status").stdout
    assert danube.jobs() == []
    assert sender.post("/hooks/github", PUSH, good).document == {"delivery": "d1", "status": "accepted"}
    assert sender.post("/hooks/github", PUSH, good).document == {"delivery": "d1", "status": "known"}
    danube.command("drain", "--timeout", "0")
    assert post(PUSH, github_headers(PUSH, "d2")) == (503, "draining")
    danube.command("resume")
    other = push_body(URL, "b" * 40)
    assert post(other, github_headers(other, "d2")) == (202, "")
    wait_until(lambda: len(danube.jobs()) == 2, 30, "two jobs")
    kept = danube.client.get("/api/v1/audit", {"action": "receive-hook"})["entries"]
    assert [(one["actor"], one["target"]) for one in kept] == [
        (f"delivery {name}", "github") for name in ("d2", "d1", "d1", "d0")
    ]


@pytest.mark.long
def test_gitlabs_signed_deliveries_are_accepted_once_and_only_while_fresh(danube: Installation, sender: Sender) -> None:
    danube.command("secrets", "set", "hook-new", stdin=SIGNING)
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
    assert danube.jobs() == []
    assert post(60) == (202, "accepted")
    assert post(0) == (200, "known"), "the same delivery, signed again"
    wait_until(danube.jobs, 30, "the job")
    assert len(danube.jobs()) == 1


@pytest.mark.long
def test_a_refused_commit_status_is_a_condition(danube: Installation) -> None:
    with GithubApi("1") as forge:
        url = f"{forge.url}/team/app.git"
        rule = {"type": "https_token", "name": "the-forge", "token_secret": "forge-token", "forge": "gitea"}
        configure(danube, git_authentication=[{**rule, "match_patterns": ["127.0.0.1:*/*"]}])
        danube.pipeline("app", None, repository=url, triggers=[{"on": "push"}])
        forge.answer_with = 401
        danube.serve()
        danube.command("secrets", "set", "hook", stdin=SECRET)
        danube.command("secrets", "set", "forge-token", stdin=b"an old token")
        body = push_body(url, SHA)
        Sender(port_of(danube)).post("/hooks/github", body, github_headers(body, "d1"))
        wait_until(
            lambda: "it answered 401" in danube.command("config", "status").stdout, 30, "the refusal to be shown"
        )
        shown = danube.command("config", "status").stdout
        assert "danube secrets set" in shown
        assert "an old token" not in shown


def test_a_push_runs_its_own_commit_also_after_a_newer_one(danube: Installation, tmp_path: Path) -> None:
    app = ServedRepository(tmp_path / "served" / "team" / "app.git")
    with HttpServer(tmp_path / "served") as server:
        url = server.url(app)
        configure(danube)
        danube.pipeline("app", None, repository=url, triggers=[{"on": "push"}], branch_filter=["main"])
        first = app.commit({"danubefile.py": dedented(HELLO), "file": "one\n"})
        app.commit({"file": "two\n"})
        danube.serve()
        danube.command("secrets", "set", "hook", stdin=SECRET)
        body = push_body(url, first)
        assert Sender(port_of(danube)).post("/hooks/github", body, github_headers(body, "d1")).status == 202
        wait_until(danube.jobs, 30, "the job")
        (job,) = danube.jobs()
        assert danube.end_of(job["id"])["status"] == "success", danube.log(job["id"])
        assert f"hello {first} on main\none\n" in danube.printed(job["id"])
        assert job["trigger"]["commit_message"] == "a change"

        topic = push_body(url, first, "topic")
        Sender(port_of(danube)).post("/hooks/github", topic, github_headers(topic, "d2"))
        wait_until(lambda: "not-meant" in danube.command("deliveries").stdout, 30, "the second delivery to be settled")
        assert '"event": "hook-received"' in danube.server_log.read_text()
        ignored, started = json.loads(danube.command("deliveries", "--source", "github", "--json").stdout)
        assert (ignored["event"], ignored["outcomes"][0]["why"]) == (
            "push to topic of team/app by alice",
            "its branch_filter (main) does not match the branch topic",
        )
        assert started["outcomes"] == [{"pipeline": "app", "result": "started", "why": "", "job": job["id"]}]


def test_untrusted_code_waits_for_an_approval(danube: Installation, tmp_path: Path) -> None:
    app = ServedRepository(tmp_path / "served" / "team" / "app.git")
    with HttpServer(tmp_path / "served") as server:
        url = server.url(app)
        configure(danube)
        danube.pipeline("app", None, repository=url, triggers=[{"on": "pull_request"}])
        sha = app.commit({"danubefile.py": dedented(STRANGE), "file": "one\n"})
        danube.serve()
        danube.command("secrets", "set", "hook", stdin=SECRET)
        danube.command("secrets", "set", "DEPLOY_TOKEN", stdin=b"not for untrusted code")
        body = pull_body(url, sha)
        headers = github_headers(body, "d1", "pull_request")
        assert Sender(port_of(danube)).post("/hooks/github", body, headers).status == 202
        wait_until(danube.jobs, 30, "the job")
        (job,) = danube.jobs()
        assert (job["status"], job["reason"]) == ("pending", "approval-required")
        explained = danube.command("explain", job["id"]).stdout
        assert f"danube approve {job['id']}" in explained
        assert danube.command("approve", job["id"], "b" * 40, check=False).returncode != 0
        assert danube.job(job["id"])["status"] == "pending"
        danube.command("approve", job["id"], sha)
        end = danube.end_of(job["id"])
        assert end["status"] == "success", danube.log(job["id"])
        assert "refused: secret-of-untrusted-code" in danube.printed(job["id"])
        assert danube.files_with(b"not for untrusted code") == []


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


def burst_through_kills(danube: Installation, count: int, connections: int, kills: int) -> None:
    """Each answered delivery has exactly one job in each of two matching pipelines, and none in a third."""
    configure(danube, max_concurrent_jobs=1)
    danube.pipeline("holder", WAITING)
    for name in ("first", "second"):
        danube.pipeline(name, None, repository=URL, triggers=[{"on": "push"}])
    danube.pipeline("third", None, repository=URL, triggers=[{"on": "push"}], branch_filter=["release/*"])
    danube.serve()
    danube.command("secrets", "set", "hook", stdin=SECRET)
    holder = danube.trigger("holder")
    danube.wait_for_log(holder, "up")
    try:
        burst = send_through_kills(danube, count, connections, kills)
        made = Counter(rows(danube, "SELECT pipeline, origin FROM jobs WHERE pipeline <> 'holder'"))
        assert set(made) == {(name, f"github:{one}") for name in ("first", "second") for one in burst.bodies}
        assert set(made.values()) == {1}
        assert danube.job(holder)["status"] == "running", "the running job continued"
    finally:
        cancel_queued_jobs(danube)
        danube.command("cancel", holder)


def send_through_kills(danube: Installation, count: int, connections: int, kills: int) -> Burst:
    """Send each delivery until it is answered, and wait until the inbox is settled."""
    bodies = {f"delivery-{number}": push_body(URL, f"{number:040x}") for number in range(1, count + 1)}
    burst = Burst(danube, bodies, connections)
    threads = burst.start()
    for kill in range(1, kills + 1):
        wait_until(partial(burst.has_answers, count * kill // (kills + 1)), 90, "deliveries to be answered")
        danube.kill()
        danube.serve()
    for thread in threads:
        thread.join(120)
    assert burst.failures == []
    assert burst.answered == count
    wait_until(lambda: not rows(danube, "SELECT 1 FROM inbox WHERE settled_at IS NULL"), 60, "the inbox to be empty")
    return burst


def rows(danube: Installation, sql: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(f"file:{danube.data / 'danube.db'}?mode=ro", uri=True) as connection:
        return connection.execute(sql).fetchall()


def cancel_queued_jobs(danube: Installation) -> None:
    """Cancel what is queued before what runs, or a queued job would start next."""
    waiting = [job_id for (job_id,) in rows(danube, "SELECT id FROM jobs WHERE phase = 'queued'")]

    def cancel(ids: list[str]) -> None:
        for job_id in ids:
            danube.client.post(f"/api/v1/jobs/{job_id}/cancel")

    threads = [threading.Thread(target=cancel, args=(waiting[at::4],), name=f"cancel {at}") for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.long
def test_a_burst_of_deliveries_through_a_kill_starts_each_job_once(danube: Installation) -> None:
    burst_through_kills(danube, count=120, connections=16, kills=1)


@pytest.mark.long
def test_a_thousand_deliveries_through_kills_start_each_job_once(danube: Installation) -> None:
    burst_through_kills(danube, count=1000, connections=64, kills=4)
