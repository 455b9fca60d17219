"""Syncs of a configuration in a directory, in a branch, over ssh and over HTTP, with a real database."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from danube_pkg.adapters.configuration import ConfigurationDirectory
from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.store import Database, SqliteConfiguration, SqlitePipelines, SqliteSecrets
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.settings import ConfigRepository, ServerSettings
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forges import CommitStatus
from danube_pkg.core.repositories.revisions import Credential
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.kit.tasks import end_all
from danube_pkg.services.configuration.commit_status import ConfigurationStatusReporter
from danube_pkg.services.configuration.conditions import MissingSecrets, RestartConditions, RunningSettings
from danube_pkg.services.configuration.sync import ConfigurationSync
from danube_pkg.services.health import ServerConditions
from danube_pkg.services.secrets import KnownValues, Secrets
from tests.support.databases import open_new_database
from tests.support.git_servers import (
    HttpServer,
    ServedRepository,
    SshServer,
    git,
)
from tests.support.git_worker import GIT_WORKER
from tests.support.waiting import wait_until_async, wait_until_true

PIPELINE = "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: NAME}\nspec: {repository: /srv/NAME}\n"


def pipeline(name: str, more: str = "") -> str:
    return PIPELINE.replace("NAME", name) + more


class SyncedServer:
    """One database with one configuration; `open` again stands for a restart of the server."""

    def __init__(self, database: Database, url: str, sources: GitSources, branch: str = "") -> None:
        self.database = database
        self.published: list[tuple[str, CommitStatus]] = []
        self.refusal: Exception | None = None
        self.repository = ConfigRepository(url, branch, sync_interval=3600)
        self.sources = sources
        self.reporter = ConfigurationStatusReporter(self)
        self.started_with = RunningSettings(ServerSettings(), frozenset(), frozenset(), ConfigSpec())

    async def open(self) -> None:
        """Load what was applied last, as a server does at its start."""
        numbers = itertools.count(1)
        store = SqliteConfiguration(self.database, lambda: f"id{next(numbers)}")
        applied = AppliedConfiguration(*await store.load_state())
        source = ConfigurationDirectory(self.repository, self.sources)
        self.configuration = ConfigurationSync(
            self.repository, source, store, applied, Timing(SystemClock()), self.reporter
        )

    async def conditions(self) -> list[Condition]:
        """The conditions that the server would show now."""
        applied = self.configuration.applied
        missing = MissingSecrets(applied, self.repository, SqliteSecrets(self.database))
        sources = RestartConditions(self.started_with, applied), missing, self.reporter
        return list(await ServerConditions(*sources).conditions())

    async def publish(self, repository: str, commit_sha: str, status: CommitStatus) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.published.append((commit_sha, status))

    async def pipelines(self) -> list[str]:
        return [one.name for one in await SqlitePipelines(self.database).list_pipelines()]


@asynccontextmanager
async def open_server(
    tmp_path: Path, url: str, sources: GitSources | None = None, branch: str = ""
) -> AsyncIterator[SyncedServer]:
    database = open_new_database(tmp_path / "danube.db")
    try:
        found = SyncedServer(database, url, sources or GitSources(tmp_path / "repos", worker=GIT_WORKER), branch)
        await found.open()
        yield found
    finally:
        await database.close()


def write(directory: Path, **pipelines: str | None) -> Path:
    (directory / "pipelines").mkdir(parents=True, exist_ok=True)
    for name, text in pipelines.items():
        path = directory / "pipelines" / f"{name}.yaml"
        path.unlink() if text is None else path.write_text(text)
    return directory


# --- a directory


async def test_a_mistake_changes_nothing_and_a_fix_is_applied(tmp_path: Path) -> None:
    config = write(tmp_path / "config", one=pipeline("one"), two=pipeline("two"))
    async with open_server(tmp_path, str(config)) as danube:
        assert (await danube.configuration.sync()).ok
        assert await danube.pipelines() == ["one", "two"]
        write(config, two=pipeline("two", "wrong: 1\n"), three=pipeline("three"))
        status = await danube.configuration.sync()
        assert [str(one) for one in status.findings] == ["pipelines/two.yaml:5: unknown field wrong"]
        assert status.applied_revision != status.seen_revision
        assert await danube.pipelines() == ["one", "two"]
        write(config, two=pipeline("two"), one=None)
        assert (await danube.configuration.sync()).ok
        assert await danube.pipelines() == ["three", "two"]


async def test_an_unreachable_configuration_keeps_the_last_good_one(tmp_path: Path) -> None:
    config = write(tmp_path / "config", one=pipeline("one"))
    async with open_server(tmp_path, str(config)) as danube:
        await danube.configuration.sync()
        config.rename(tmp_path / "moved")
        status = await danube.configuration.sync()
        assert status.problem is not None
        assert status.problem.reference == "configuration-missing"
        assert await danube.pipelines() == ["one"]
        (tmp_path / "moved").rename(config)
        assert (await danube.configuration.sync()).ok


async def test_the_last_good_one_is_loaded_after_a_restart_while_the_repository_is_unreachable(tmp_path: Path) -> None:
    text = "apiVersion: danube.dev/v1\nkind: Config\nmetadata: {name: global}\nspec: {max_concurrent_jobs: 7}\n"
    config = write(tmp_path / "config", one=pipeline("one"))
    (config / "config.yaml").write_text(text)
    async with open_server(tmp_path, str(config)) as danube:
        applied = await danube.configuration.sync()
    config.rename(tmp_path / "moved")
    async with open_server(tmp_path, str(config)) as danube:
        assert danube.configuration.applied.config.max_concurrent_jobs == 7
        assert danube.configuration.applied.state.pipelines["one"].spec.repository == "/srv/one"
        status = await danube.configuration.sync()
        assert (status.applied_revision, status.applied_at) == (applied.applied_revision, applied.applied_at)
        assert status.problem is not None


async def test_of_a_repository_the_branch_is_read_and_not_the_working_tree(tmp_path: Path) -> None:
    repository = ServedRepository(tmp_path / "config.git")
    commit = repository.commit({"pipelines/one.yaml": PIPELINE.replace("NAME", "one").replace("/srv", "..")})
    write(repository.work, uncommitted=pipeline("uncommitted"))
    async with open_server(tmp_path, str(repository.work), branch="main") as danube:
        status = await danube.configuration.sync()
        assert status.applied_revision == commit
        assert await danube.pipelines() == ["one"]
        assert danube.configuration.applied.state.pipelines["one"].spec.repository == str(tmp_path / "one")
        git(repository.work, "branch", "-m", "main", "trunk")
        assert "main" in str((await danube.configuration.sync()).problem)
        assert await danube.pipelines() == ["one"]


@pytest.mark.long
async def test_ten_thousand_files_are_applied_without_blocking_the_event_loop(tmp_path: Path) -> None:
    repository = ServedRepository(tmp_path / "config.git")
    commit = repository.commit({f"pipelines/{number}.yaml": pipeline(f"p{number}") for number in range(10_000)})
    async with open_server(tmp_path, str(repository.bare)) as danube:
        loop, turns = asyncio.get_running_loop(), 0

        def others() -> None:
            nonlocal turns
            turns += 1
            loop.call_later(0.01, others)

        others()
        status = await danube.configuration.sync()
        assert status.applied_revision == commit
        assert turns > 100
        assert len(danube.configuration.applied.state.pipelines) == 10_000


# --- conditions, plans and the forge


async def test_a_secret_that_is_not_set_is_a_condition_and_not_an_error(tmp_path: Path) -> None:
    rule = '{type: https_token, name: forge, token_secret: forge-token, match_patterns: ["*"]}'
    config = write(tmp_path / "config", one=pipeline("one"))
    (config / "config.yaml").write_text(
        "apiVersion: danube.dev/v1\nkind: Config\nmetadata: {name: global}\n"
        f"spec: {{git_authentication: [{rule}], server: {{bind_address: '0.0.0.0:80'}}}}\n"
    )
    async with open_server(tmp_path, str(config)) as danube:
        assert (await danube.configuration.sync()).ok
        found = {one.reference: one for one in await danube.conditions()}
        assert set(found) == {"secret-not-set", "restart-needed"}
        assert found["secret-not-set"].what == (
            "the secret forge-token is not set, and config: git_authentication[forge].token_secret names it"
        )
        assert found["secret-not-set"].hint == "danube secrets set forge-token"
        assert "0.0.0.0:80" in found["restart-needed"].what
        keys = Keys.open(tmp_path / "keys")
        secrets = Secrets(SqliteSecrets(danube.database), keys, SystemClock(), lambda: "s1", KnownValues())
        await secrets.set(SecretName(None, "forge-token"), b"value", "test")
        assert [one.reference for one in await danube.conditions()] == ["restart-needed"]


async def test_a_setting_that_needs_a_restart_is_a_condition_until_then(tmp_path: Path) -> None:
    head = "apiVersion: danube.dev/v1\nkind: Config\nmetadata: {name: global}\nspec: {kubernetes: "
    config = write(tmp_path / "config", one=pipeline("one"))
    (config / "config.yaml").write_text(f"{head}{{}}}}\n")
    async with open_server(tmp_path, str(config)) as danube:
        await danube.configuration.sync()
        danube.started_with = replace(danube.started_with, config=danube.configuration.applied.config)
        (config / "config.yaml").write_text(f"{head}{{namespace: builds}}}}\n")
        await danube.configuration.sync()
        (waits,) = [one for one in await danube.conditions() if one.reference == "restart-needed"]
        assert waits.what == "kubernetes.namespace was danube-jobs at the start, and is builds now"
        (config / "config.yaml").unlink()
        await danube.configuration.sync()
        assert await danube.conditions() == []


async def test_a_plan_lists_what_a_push_would_change(tmp_path: Path) -> None:
    config = write(tmp_path / "config", one=pipeline("one"))
    async with open_server(tmp_path, str(config)) as danube:
        await danube.configuration.sync()
        plan = await danube.configuration.plan(
            {"pipelines/two.yaml": pipeline("two").encode(), "../escape.yaml": b"x: 1", "README.md": b"text"}
        )
        assert [(change.action, change.key) for change in plan.changes] == [("remove", "one"), ("add", "two")]
        bad = await danube.configuration.plan({"pipelines/two.yaml": b"apiVersion: v1\n"})
        assert [str(one) for one in bad.findings] == ["pipelines/two.yaml:1: apiVersion must be danube.dev/v1"]
        assert await danube.pipelines() == ["one"]


async def test_each_commits_outcome_is_reported_to_the_forge(tmp_path: Path) -> None:
    config = write(tmp_path / "config", one=pipeline("one"))
    async with open_server(tmp_path, str(config)) as danube:
        following = asyncio.create_task(danube.configuration.follow(), name="follow")
        await wait_until_async(lambda: len(danube.published) == 1, 10, "the first status")
        write(config, one=pipeline("one", "wrong: 1\n"))
        assert danube.configuration.pushed(str(config), "main")
        await wait_until_async(lambda: len(danube.published) == 2, 10, "the second status")
        danube.refusal = Permanent("forge-refused", "no", cause="it answered 401", hint="give it access")
        write(config, one=pipeline("one"))
        await danube.configuration.sync()
        await wait_until_true(danube.reporter.conditions, 10, "the refusal")
        assert [one.hint for one in await danube.conditions()] == ["give it access"]
        danube.refusal = NotFound("forge-unknown", "a directory")
        write(config, one=pipeline("one", "\n"))
        await danube.configuration.sync()

        async def no_condition() -> bool:
            return not await danube.reporter.conditions()

        await wait_until_true(no_condition, 10, "no condition")
        await end_all(following)
    assert [(str(status.state), status.description) for _, status in danube.published] == [
        ("success", "applied"),
        ("failure", "not applied: pipelines/one.yaml:5: unknown field wrong"),
    ]


async def test_only_a_push_to_the_configuration_starts_a_sync(tmp_path: Path) -> None:
    async with open_server(tmp_path, "https://git.example.org/ops/config.git", branch="main") as danube:
        assert danube.configuration.pushed("git@git.example.org:ops/config.git", "main")
        assert not danube.configuration.pushed("git@git.example.org:ops/config.git", "topic")
        assert not danube.configuration.pushed("git@git.example.org:ops/other.git", "main")


# --- real servers


class ByKey:
    """`GitCredentials` that always returns this one."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def credential_for(self, repository: str) -> Credential:
        return self._credential


@pytest.mark.parametrize("kind", [pytest.param("ssh", marks=pytest.mark.long), "http"])
async def test_a_configuration_on_a_git_server(tmp_path: Path, kind: str) -> None:
    repository = ServedRepository(tmp_path / "served" / "config.git")
    server: SshServer | HttpServer
    if kind == "ssh":
        server = SshServer(tmp_path / "ssh")
        sources = GitSources(
            tmp_path / "repos",
            ByKey(Credential("deploy key", private_key_path=str(server.key))),
            known_hosts=[server.known_hosts],
            worker=GIT_WORKER,
        )
    else:
        server = HttpServer(tmp_path / "served", lambda user, password: (user, password) == ("git", "word"))
        sources = GitSources(tmp_path / "repos", ByKey(Credential("token", "git", "word")), worker=GIT_WORKER)
    first = repository.commit({"pipelines/one.yaml": pipeline("one"), "pipelines/two.yaml": pipeline("two")})
    with server:
        async with open_server(tmp_path, server.url(repository), sources) as danube:
            await follow_changes(danube, repository, server.start, server.stop, first)


async def follow_changes(
    danube: SyncedServer, repository: ServedRepository, start: Callable[[], None], stop: Callable[[], None], first: str
) -> None:
    """First sync, change, mistakes, fix, removal, an unreachable server, a force push, a removed branch."""
    sync = danube.configuration.sync
    assert (await sync()).applied_revision == first
    assert await danube.pipelines() == ["one", "two"]
    ids = {one.name: one.id for one in await SqlitePipelines(danube.database).list_pipelines()}

    changed = repository.commit({"pipelines/one.yaml": pipeline("one").replace("/srv/one", "/srv/other")})
    assert (await sync()).applied_revision == changed
    assert danube.configuration.applied.state.pipelines["one"].spec.repository == "/srv/other"

    bad = repository.commit(
        {"pipelines/one.yaml": pipeline("one", "a: 1\nb: 2\n"), "users.yaml": "apiVersion: v1\n", "teams.yaml": "- x\n"}
    )
    status = await sync()
    assert (status.applied_revision, status.seen_revision) == (changed, bad)
    assert [str(one) for one in status.findings] == [
        "pipelines/one.yaml:5: unknown field a",
        "pipelines/one.yaml:6: unknown field b",
        "teams.yaml:1: a document must be a mapping",
        "users.yaml:1: apiVersion must be danube.dev/v1",
    ]
    assert danube.configuration.applied.state.pipelines["one"].spec.repository == "/srv/other"

    fixed = repository.commit({"pipelines/one.yaml": pipeline("one"), "users.yaml": None, "teams.yaml": None})
    assert (await sync()).applied_revision == fixed

    removed = repository.commit({"pipelines/two.yaml": None})
    assert (await sync()).applied_revision == removed
    assert await danube.pipelines() == ["one"]
    gone = await SqlitePipelines(danube.database).load_pipeline("two")
    assert gone is not None
    assert (gone.removed, gone.id) == (True, ids["two"])

    stop()
    status = await sync()
    assert status.problem is not None
    assert (status.problem.reference, status.applied_revision) == ("source-unreachable", removed)
    start()

    git(repository.work, "reset", "-q", "--hard", fixed)
    git(repository.work, "commit", "-q", "--amend", "-m", "forced")
    forced = repository.push("--force")
    assert (await sync()).applied_revision == forced
    two = await SqlitePipelines(danube.database).load_pipeline("two")
    assert two is not None
    assert two.id == ids["two"]

    git(repository.bare, "update-ref", "-d", "refs/heads/main")
    status = await sync()
    assert status.problem is not None
    assert (status.applied_revision, await danube.pipelines()) == (forced, ["one", "two"])
