"""Which pipelines an event starts: one repository under its many names, kinds of trigger, branches, files, `[skip
ci]`."""

from typing import Any

import pytest

from danube_pkg.core.configuration.pipelines import PipelineEnd, PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.state import PipelineDefinition
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.inbox import PipelineEnded
from danube_pkg.core.triggers.matching import (
    NotMatched,
    PipelineIndex,
    Skip,
    Start,
    match_event,
    match_pipeline_end,
    needs_changed_files,
)
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.kit.records import replace

SHA = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
URL = "https://git.example.org/Team/App"
REPOSITORY = WebhookRepository(
    "Team/App", ("https://git.example.org/team/app.git", "ssh://git@git.example.org:2222/team/app")
)
PUSH = Push(REPOSITORY, "main", SHA, "alice", "fix it")
CHANGED = ("services/api/main.py", "docs/index.md")
TAG = TagPush(REPOSITORY, "v1", SHA, "alice")
PULL = PullRequest(
    REPOSITORY, 7, PullRequestChange.OPENED, SHA, "refs/pull/7/head", "topic", "main", fork=True, actor="bob"
)
ENDED = PipelineEnded("test", "01j", "success", URL, Revision(SHA, "refs/heads/main", "main"))


def pipeline(*kinds: TriggerKind, name: str = "app", repository: str = URL, **spec: Any) -> PipelineDefinition:
    triggers = spec.pop("triggers", tuple(TriggerSpec(kind) for kind in kinds))
    return PipelineDefinition(name, "", PipelineSpec(repository, triggers=triggers, **spec))


def starts(event: WebhookEvent, one: PipelineDefinition, changed: tuple[str, ...] | None = None) -> bool:
    return isinstance(match_event(event, one, changed), Start)


@pytest.mark.parametrize(
    "name",
    [
        "https://git.example.org/team/app",
        "http://git.example.org/team/app.git",
        "https://git.example.org:443/Team/App/",
        "https://GIT.example.org/team/app.git",
        "git@git.example.org:team/app.git",
        "ssh://git@git.example.org/team/app",
        "ssh://git@git.example.org:2222/team/app.git",
        "git://git.example.org/team/app.git",
        "https://alice@git.example.org/team/app",
    ],
)
def test_one_repository_has_many_names(name: str) -> None:
    index = PipelineIndex([pipeline(repository=name)])
    assert [one.name for one in index.of_repository(REPOSITORY)] == ["app"]


@pytest.mark.parametrize(
    "name",
    [
        "https://git.example.org/team/application",
        "https://git.example.org/other/app",
        "https://git.example.org:8443/team/app",
        "https://other.example.org/team/app",
        "https://git.example.org/team/app/sub",
        "https://git.example.org.evil.example/team/app",
        "/srv/team/app",
    ],
)
def test_similar_urls_are_other_repositories(name: str) -> None:
    assert PipelineIndex([pipeline(repository=name)]).of_repository(REPOSITORY) == []


def test_each_pipeline_of_a_repository_is_found_once_by_name() -> None:
    index = PipelineIndex(
        [pipeline(name="b"), pipeline(name="a"), pipeline(name="c", repository="https://x.example/y")]
    )
    assert [one.name for one in index.of_repository(REPOSITORY)] == ["a", "b"]


@pytest.mark.parametrize("event", [PUSH, TAG, PULL])
def test_an_event_starts_only_pipelines_with_its_kind_of_trigger(event: WebhookEvent) -> None:
    kinds = {Push: TriggerKind.PUSH, TagPush: TriggerKind.TAG, PullRequest: TriggerKind.PULL_REQUEST}
    wanted = kinds[type(event)]
    assert starts(event, pipeline(wanted))
    for kinds_of_another in [(), *((kind,) for kind in TriggerKind if kind is not wanted)]:
        assert match_event(event, pipeline(*kinds_of_another)) == NotMatched(
            "app", f"its triggers do not include {wanted}"
        )


def test_deleted_branches_and_closed_pull_requests_start_nothing() -> None:
    every = pipeline(*TriggerKind)
    assert match_event(TagDeleted(REPOSITORY, "v1", "a"), every) == NotMatched("app", "a deleted tag starts no job")
    deleted, closed = BranchDeleted(REPOSITORY, "main", "alice"), replace(PULL, change=PullRequestChange.CLOSED)
    assert match_event(deleted, every) == NotMatched("app", "a deleted branch starts no job")
    assert match_event(closed, every) == NotMatched("app", "a closed pull request starts no job")


def test_a_branch_mismatch_names_the_filter() -> None:
    releases = pipeline(TriggerKind.PUSH, branch_filter=("main", "release/*"))
    found = match_event(replace(PUSH, branch="topic"), releases)
    assert found == NotMatched("app", "its branch_filter (main, release/*) does not match the branch topic")
    many = pipeline(TriggerKind.PUSH, branch_filter=tuple(f"release/{number}" for number in range(1000)))
    assert isinstance(cut := match_event(PUSH, many), NotMatched)
    assert cut.why.endswith("…) does not match the branch main")
    assert len(cut.why) < 300


@pytest.mark.parametrize(
    ("filters", "branch", "starting"),
    [
        ((), "anything/at/all", True),
        (("main",), "main", True),
        (("main",), "mainline", False),
        (("release/*",), "release/1.0", True),
        (("release/*",), "release/1/0", False),
        (("release/**",), "release/1/0", True),
        (("main", "dev-?"), "dev-1", True),
        (("**",), "a/b", True),
    ],
)
def test_branches_are_filtered_and_pull_requests_by_their_target(
    filters: tuple[str, ...], branch: str, starting: bool
) -> None:
    one = pipeline(TriggerKind.PUSH, TriggerKind.PULL_REQUEST, TriggerKind.TAG, branch_filter=filters)
    assert starts(replace(PUSH, branch=branch), one) is starting
    assert starts(replace(PULL, target_branch=branch, source_branch="main"), one) is starting
    assert starts(TAG, one), "a tag is on no branch"


@pytest.mark.parametrize(
    ("paths", "ignored", "starting"),
    [
        (("services/api/**",), (), True),
        (("services/web/**",), (), False),
        (("**/*.md",), (), True),
        (("*.md",), (), False),
        ((), ("docs/**",), True),
        ((), ("docs/**", "services/**"), False),
        (("docs/**",), ("**/*.md",), False),
        (("docs/**", "services/**"), ("**/*.md",), True),
    ],
)
def test_changed_files_decide_where_paths_are_given(
    paths: tuple[str, ...], ignored: tuple[str, ...], starting: bool
) -> None:
    one = pipeline(TriggerKind.PUSH, TriggerKind.PULL_REQUEST, paths=paths, paths_ignore=ignored)
    assert starts(PUSH, one, CHANGED) is starting
    assert starts(PULL, one, CHANGED) is starting
    assert starts(PUSH, one), "unknown files count as a match"
    assert starts(PUSH, one, ()), "so does a push without any file"
    assert starts(PULL, one)


def test_a_skip_has_a_reason_and_is_reported_as_success() -> None:
    found = match_event(PUSH, pipeline(TriggerKind.PUSH, paths=("web/**",)), CHANGED)
    assert isinstance(found, Skip)
    assert (found.why, found.reported) == ("none of the 2 changed files matches its paths", True)
    found = match_event(PUSH, pipeline(TriggerKind.PUSH, paths_ignore=("a",)), ("a",))
    assert isinstance(found, Skip)
    assert found.why == "only files of its paths_ignore changed (1)"


@pytest.mark.parametrize("mark", ["[skip ci]", "[SKIP CI]", "[ci skip]"])
def test_a_commit_message_can_skip_but_does_not_pass_a_required_check(mark: str) -> None:
    one = pipeline(TriggerKind.PUSH, TriggerKind.PULL_REQUEST)
    for event in (replace(PUSH, message=f"docs\n\nwhy\n\n{mark}"), replace(PULL, message=f"docs {mark}")):
        found = match_event(event, one)
        assert isinstance(found, Skip)
        assert not found.reported
    assert starts(replace(PUSH, message=f"docs\n\nwhat {mark} does"), one), "a body may quote it"


def test_a_tag_is_never_skipped() -> None:
    release = replace(TAG, message="Release 1.2.0 [skip ci]")
    assert starts(release, pipeline(TriggerKind.TAG, paths=("web/**",)))


def test_a_pull_requests_trigger_has_no_branch_and_is_marked_as_a_fork() -> None:
    found = match_event(PULL, pipeline(TriggerKind.PULL_REQUEST))
    assert isinstance(found, Start)
    trigger = found.trigger
    assert (trigger.revision.branch, trigger.revision.ref, trigger.revision.commit_sha) == ("", "refs/pull/7/head", SHA)
    assert trigger.pull_request is not None
    assert (trigger.pull_request["fork"], trigger.pull_request["source_branch"]) == (True, "topic")


def test_the_changed_files_are_needed_only_where_they_decide() -> None:
    plain, picky = pipeline(TriggerKind.PULL_REQUEST), pipeline(TriggerKind.PULL_REQUEST, paths=("web/**",))
    assert needs_changed_files(PULL, [plain, picky])
    assert not needs_changed_files(PULL, [plain])
    assert needs_changed_files(PUSH, [pipeline(TriggerKind.PUSH, paths_ignore=("web/**",))])
    assert not needs_changed_files(TAG, [pipeline(TriggerKind.TAG, paths=("web/**",))])
    assert not needs_changed_files(replace(PULL, target_branch="x"), [replace_spec(picky, branch_filter=("main",))])


def replace_spec(one: PipelineDefinition, **spec: Any) -> PipelineDefinition:
    return replace(one, spec=replace(one.spec, **spec))


def following(**spec: Any) -> PipelineDefinition:
    """A pipeline that starts after each success of `test`."""
    return pipeline(triggers=(TriggerSpec(TriggerKind.PIPELINE, pipeline="test"),), **spec)


@pytest.mark.parametrize(
    ("result", "status", "starting"),
    [
        (PipelineEnd.SUCCESS, "success", True),
        (PipelineEnd.SUCCESS, "failure", False),
        (PipelineEnd.FAILURE, "failure", True),
        (PipelineEnd.FAILURE, "timeout", True),
        (PipelineEnd.FAILURE, "success", False),
        (PipelineEnd.ALWAYS, "cancelled", True),
    ],
)
def test_the_end_of_a_pipeline_starts_those_that_name_it(result: PipelineEnd, status: str, starting: bool) -> None:
    trigger = TriggerSpec(TriggerKind.PIPELINE, pipeline="test", result=result)
    index = PipelineIndex([pipeline(name="deploy", triggers=(trigger,)), pipeline(name="test")])
    ended = replace(ENDED, status=status)
    (follower,) = index.after(ended)
    found = match_pipeline_end(ended, follower)
    assert isinstance(found, Start) is starting
    if isinstance(found, NotMatched):
        assert found.why == f"it waits for {result} of test, and this was {status}"
    assert index.starts_others("test")
    assert not index.starts_others("deploy")


def test_the_next_pipeline_of_one_repository_has_the_same_commit_and_its_own_branch_filter() -> None:
    found = match_pipeline_end(ENDED, following(repository="git@git.example.org:team/app.git", branch_filter=("main",)))
    assert isinstance(found, Start)
    assert (found.trigger.revision.commit_sha, found.trigger.revision.branch, found.trigger.type) == (
        SHA,
        "main",
        "pipeline",
    )
    assert found.trigger.upstream_job_id == "01j"
    main = following(branch_filter=("main",))
    assert isinstance(match_pipeline_end(replace(ENDED, revision=Revision(SHA, branch="topic")), main), NotMatched)
    assert match_pipeline_end(replace(ENDED, revision=Revision(SHA, tag="v1")), main) == NotMatched(
        "app", "its branch_filter (main) does not match a job without a branch"
    )


def test_the_next_pipeline_of_another_repository_has_its_newest_commit() -> None:
    found = match_pipeline_end(
        ENDED, following(repository="https://git.example.org/team/deploy", branch_filter=("main",))
    )
    assert isinstance(found, Start)
    assert found.trigger.revision == Revision()
    assert found.trigger.upstream_job_id == "01j"
