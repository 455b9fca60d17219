"""Commit statuses on the APIs of forges: the right states in the right order, through outages and refusals."""

from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.transitions import decide
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.git_authentication import GithubApp, GitlabToken, HttpsToken
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.webhooks.events import Push, WebhookRepository
from danube_pkg.services.notifications.outbox import Outbox
from tests.services.notifications.forges import (
    APP_ID,
    INSTALLATION_ID,
    INSTALLATION_TOKEN,
    TOKEN,
    Answer,
    Forge,
    served_forge,
)
from tests.services.notifications.sending import (
    EXTERNAL_URL,
    all_sent,
    open_sending,
    outcomes,
)
from tests.support.rsa_keys import rsa_pem
from tests.support.trigger_server import (
    SHA,
    TriggerServer,
    a_pipeline,
    eventually,
)

KINDS = ("github", "gitlab", "gitea", "forgejo")
FINISHED = ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "ValueError: the build is broken " + "x" * 300))
BAD_GATEWAY = Answer(502, "<html>bad gateway</html>")


def rule(kind: str, forge: Forge) -> Any:
    if kind == "gitlab":
        return GitlabToken("gl", url=forge.url, token_secret="forge-token", match_patterns=("*",))
    return HttpsToken("rule", token_secret="forge-token", match_patterns=("*",), forge=kind)


async def configured(danube: TriggerServer, kind: str, forge: Forge) -> None:
    url = f"{forge.url}/team/app"
    await danube.configure(a_pipeline("app", TriggerKind.PUSH, repository=url), git_authentication=(rule(kind, forge),))
    await danube.secret("forge-token", TOKEN.encode())


async def push(danube: TriggerServer, forge: Forge, sha: str = SHA, delivery: str = "d1") -> Job:
    repository = WebhookRepository("team/app", (f"{forge.url}/team/app.git",))
    await danube.receive(Push(repository, "main", sha, "alice"), delivery)
    return (await danube.jobs())[-1]


async def advance(danube: TriggerServer, job: Job, *events: ev.JobEvent) -> Job:
    """Apply events to a job as the engine does, without a pod: the state and its follow-up are stored together."""
    for event in events:
        after, _ = decide(job, event, danube.clock.now())
        follow_up = danube.observer.follow_up_of(job, after)
        await danube.store.save_job(after, follow_up=follow_up)
        danube.observer.stored(follow_up)
        job = after
        danube.clock.move(1)
    return job


async def run(danube: TriggerServer, job: Job) -> Job:
    """Run a job to its end; each status is delivered before the next one."""
    for events in (
        [ev.Admitted("pod"), ev.PodReady(0)],
        [FINISHED, ev.StepsStopped(), ev.LogClosed({}), ev.ProvenanceSigned(b"{}", "key"), ev.PodDeleted()],
    ):
        await all_sent(danube)
        job = await advance(danube, job, *events)
    await all_sent(danube)
    return job


async def wait_for_condition(outbox: Outbox) -> None:
    async def is_shown() -> bool:
        return bool(await outbox.conditions())

    await eventually(is_shown, "a condition")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("github", ["pending", "pending", "failure"]),
        ("gitlab", ["pending", "running", "failed"]),
        ("gitea", ["pending", "pending", "failure"]),
        ("forgejo", ["pending", "pending", "failure"]),
    ],
)
async def test_a_job_has_the_forges_states(tmp_path: Path, kind: str, words: list[str]) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, _):
        await configured(danube, kind, forge)
        job = await run(danube, await push(danube, forge))
        assert forge.states() == words
        assert {context for _, context, _, _ in forge.statuses} == {"danube/app/push"}
        descriptions = [description for *_, description in forge.statuses]
        assert descriptions[:2] == ["waits in the queue", "is running"]
        assert descriptions[2].startswith("failed after 4 s: ValueError: the build is broken")
        assert len(descriptions[2]) <= 140
        assert {request["target_url"] for request in forge.requests} == {f"{EXTERNAL_URL}/jobs/{job.id}"}
        assert {request.get("ref") for request in forge.requests} == {"main" if kind == "gitlab" else None}


@pytest.mark.parametrize(
    ("revision", "state", "context"),
    [
        (Revision(SHA, "main", branch="main"), "success", "danube/app/push"),
        (Revision(SHA, "HEAD", branch="main"), "success", "danube/app/push"),
        (Revision(SHA, "topic", branch="topic"), "failure", "danube/app/push"),
        (Revision(SHA, "v1", tag="v1"), "success", "danube/app/tag"),
    ],
)
async def test_a_manual_start_replaces_the_status_of_its_own_branch(
    tmp_path: Path, revision: Revision, state: str, context: str
) -> None:
    """By any of the branch's names; another branch with the same head leaves it, and a tag has a context of its own."""
    green = (ev.Finished(), ev.StepsStopped(), ev.LogClosed({}), ev.ProvenanceSigned(b"{}", "key"), ev.PodDeleted())
    async with served_forge() as forge, open_sending(tmp_path) as (danube, _):
        await configured(danube, "gitea", forge)
        await run(danube, await push(danube, forge))
        pipeline = await danube.pipelines.load_pipeline("app")
        assert pipeline is not None
        job = await danube.engine.submit(pipeline, Trigger("manual", "alice", revision))
        await advance(danube, job, ev.Admitted("pod"), ev.PodReady(0), *green)
        await all_sent(danube)
        newest = [one for one in forge.statuses if one[1] == context][-1]
        assert newest[2] == state


@pytest.mark.parametrize("kind", KINDS)
async def test_the_order_holds_through_an_outage(tmp_path: Path, kind: str) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, kind, forge)
        forge.answers = [BAD_GATEWAY, Answer(503), Answer(500, '{"message": "oops"}'), BAD_GATEWAY, Answer(504)]
        job = await push(danube, forge)
        job = await advance(
            danube,
            job,
            ev.Admitted("pod"),
            ev.PodReady(0),
            FINISHED,
            ev.StepsStopped(),
            ev.LogClosed({}),
            ev.ProvenanceSigned(b"{}", "key"),
        )
        await all_sent(danube, move=30)
        assert forge.answers == []
        assert forge.states()[-1] in ("failure", "failed")
        order = {"pending": 0, "running": 1, "failure": 2, "failed": 2}
        ranks = [order[state] for state in forge.states()]
        assert ranks == sorted(ranks)
        assert await outbox.conditions() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_answer_leads_to_no_wrong_status(tmp_path: Path, kind: str) -> None:
    """Delivery is at least once: GitLab's refusal of a state that is already set counts as a success."""
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, kind, forge)
        forge.answers = [Answer(502, done_before=True)]
        await push(danube, forge)
        await all_sent(danube, move=5)
        assert set(forge.states()) == {"pending"}
        assert (outcomes(danube), (await outbox.conditions())) == (["delivered"], [])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_token_is_a_condition_and_after_the_fix_the_status_arrives(tmp_path: Path, kind: str) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, kind, forge)
        forge.token = "rotated"
        await push(danube, forge)
        await wait_for_condition(outbox)
        (condition,) = await outbox.conditions()
        assert (condition.reference, "it answered 401: Bad credentials" in condition.what) == ("delivery-failing", True)
        assert "danube secrets set" in condition.hint
        assert TOKEN not in condition.what
        await danube.secret("forge-token", b"rotated")
        await all_sent(danube, move=5)
        assert (forge.states(), (await outbox.conditions())) == (["pending"], [])


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, "slow down", {"Retry-After": "90"}),
        Answer(403, '{"message": "You have exceeded a secondary rate limit"}', {"Retry-After": "90"}),
        Answer(503, "", {"Retry-After": "90"}),
    ],
)
async def test_a_rate_limit_is_honoured(tmp_path: Path, answer: Answer) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, "github", forge)
        forge.answers = [answer]
        await push(danube, forge)
        await wait_for_condition(outbox)
        for number in range(4):
            await push(danube, forge, f"{number:040}", f"more-{number}")
            danube.clock.move(20)
        assert len(forge.requests) == 1, "nothing was asked during the pause"
        await all_sent(danube, move=5)
        assert len(forge.states()) == 5


async def test_githubs_primary_rate_limit_is_waited_for(tmp_path: Path) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, "github", forge)
        reset = str(int(danube.clock.now()) + 600)
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        forge.answers = [Answer(403, '{"message": "API rate limit exceeded"}', headers)]
        await push(danube, forge)
        await wait_for_condition(outbox)

        async def is_postponed() -> bool:
            return bool(danube.database.read("SELECT 1 FROM outbox WHERE next_at > ?", danube.clock.now() + 60))

        await eventually(is_postponed, "the next try to be set")
        await all_sent(danube, move=300)
        assert forge.states() == ["pending"]


async def test_an_app_authenticates_and_one_token_serves_many_statuses(tmp_path: Path) -> None:
    pem = rsa_pem("an app of GitHub")
    async with served_forge() as forge, open_sending(tmp_path) as (danube, _):
        forge.app_key, forge.token, forge.now = RSAKey.import_key(pem), INSTALLATION_TOKEN, danube.clock.now
        app = GithubApp(
            "app",
            app_id=APP_ID,
            installation_id=INSTALLATION_ID,
            private_key_secret="app-key",
            match_patterns=("*",),
            api_url=f"{forge.url}/api/v3",
        )
        await danube.configure(
            a_pipeline("app", TriggerKind.PUSH, repository=f"{forge.url}/team/app"), git_authentication=(app,)
        )
        await danube.secret("app-key", pem)
        for number in range(3):
            await push(danube, forge, f"{number:040}", f"d{number}")
        await all_sent(danube)
        assert (len(forge.states()), forge.tokens_made) == (3, 1)


async def test_a_secret_that_is_not_set_is_a_condition_and_the_status_waits_for_it(tmp_path: Path) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, outbox):
        url = f"{forge.url}/team/app"
        pipeline = a_pipeline("app", TriggerKind.PUSH, repository=url)
        await danube.configure(pipeline, git_authentication=(rule("gitea", forge),))
        await push(danube, forge)
        await wait_for_condition(outbox)
        assert "'forge-token', which is not set" in (await outbox.conditions())[0].what
        await danube.secret("forge-token", TOKEN.encode())
        await all_sent(danube, move=5)
        assert forge.states() == ["pending"]


async def test_an_unknown_commit_is_refused_once(tmp_path: Path) -> None:
    async with served_forge() as forge, open_sending(tmp_path) as (danube, _):
        await configured(danube, "github", forge)
        forge.answers = [Answer(422, '{"message": "No commit found for SHA"}')]
        await push(danube, forge)
        await all_sent(danube)
        assert outcomes(danube)[0].startswith("refused: ")
        assert len(forge.requests) == 1
