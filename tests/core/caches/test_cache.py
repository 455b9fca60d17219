"""Which caches a job reads and writes, what identifies one, and which make room."""

from collections.abc import Mapping
from typing import Any

import pytest

from danube_pkg.core.caches.cache import (
    MAX_ENTRIES,
    CacheEntry,
    CacheRequest,
    CacheScope,
    checked_request,
    due,
    evicted,
    family_of,
    may_read,
    own_scope,
    read_scopes,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace
from tests.services.stores import a_job

REQUEST = CacheRequest(1, "pip", "k", ("~/.cache/pip",))
DIGEST = f"sha256:{'1' * 64}"


def job_of(revision: Revision, pull_request: Mapping[str, Any] | None = None) -> Job:
    return a_job(trigger=Trigger("webhook", "me", revision, pull_request=pull_request))


MAIN = job_of(Revision("1" * 40, "refs/heads/main", branch="main"))
BRANCH = job_of(Revision("2" * 40, "refs/heads/topic", branch="topic"))
TAG = job_of(Revision("3" * 40, "refs/tags/main", tag="main"))
TRUSTED = job_of(Revision("4" * 40, "refs/pull/5/head"), {"number": 5, "trusted": True})
FORK = job_of(Revision("5" * 40, "refs/pull/5/head"), {"number": 5, "trusted": False})
FORK_OF_MAIN = job_of(Revision("6" * 40, "refs/heads/main", branch="main"), {"number": 6})
UNNUMBERED = job_of(Revision("7" * 40, "refs/for/main"), {"trusted": False})
HASH = job_of(Revision("8" * 40, "8" * 40))


@pytest.mark.parametrize(
    ("job", "scopes"),
    [
        (MAIN, [("refs/heads/main", True)]),
        (BRANCH, [("refs/heads/topic", True), ("refs/heads/main", True)]),
        (TAG, [("refs/tags/main", True)]),
        (TRUSTED, [("pull/5", True), ("refs/heads/main", True)]),
        (FORK, [("pull/5", False), ("refs/heads/main", True)]),
        (FORK_OF_MAIN, [("pull/6", False), ("refs/heads/main", True)]),
        (UNNUMBERED, [(f"commit/{'7' * 40}", False), ("refs/heads/main", True)]),
        (HASH, [("8" * 40, True), ("refs/heads/main", True)]),
    ],
    ids=["main", "branch", "tag", "trusted", "fork", "fork-main", "unnumbered", "hash"],
)
def test_a_job_reads_its_own_ref_then_the_default_branch(job: Job, scopes: list[tuple[str, bool]]) -> None:
    assert [(one.ref, one.trusted) for one in read_scopes(job, "main")] == scopes
    assert own_scope(job) == read_scopes(job, "main")[0]


def test_a_job_reads_its_own_alone_where_the_default_branch_is_unknown() -> None:
    for job in (MAIN, BRANCH, TAG, TRUSTED, FORK):
        assert read_scopes(job, "") == (own_scope(job),)


def test_jobs_of_other_proposals_refs_and_trust_have_different_scopes() -> None:
    jobs = (MAIN, BRANCH, TAG, TRUSTED, FORK, FORK_OF_MAIN, UNNUMBERED, HASH)
    assert len({own_scope(job) for job in jobs}) == len(jobs)


def test_untrusted_code_reads_nothing_that_may_depend_on_a_secret() -> None:
    clean = an_entry("a")
    secret = replace(clean, after_secret=True)
    assert may_read(FORK, clean)
    assert not may_read(FORK, secret)
    assert may_read(BRANCH, secret)


def test_whatever_identifies_a_cache_changes_its_family() -> None:
    def changed(**changes: object) -> Job:
        return replace(MAIN, settings=replace(MAIN.settings, **changes))  # type: ignore[arg-type]

    families = [
        family_of(MAIN, REQUEST, "python", DIGEST),
        family_of(MAIN, REQUEST, "python", f"sha256:{'2' * 64}"),
        family_of(MAIN, REQUEST, "host", ""),
        family_of(replace(MAIN, pipeline="other"), REQUEST, "python", DIGEST),
        family_of(changed(repository="elsewhere"), REQUEST, "python", DIGEST),
        family_of(changed(run_as_root=True), REQUEST, "python", DIGEST),
        family_of(MAIN, replace(REQUEST, name="npm"), "python", DIGEST),
        family_of(MAIN, replace(REQUEST, paths=("~/.cache",)), "python", DIGEST),
        family_of(MAIN, replace(REQUEST, paths=("~/.cache/pip", "~/.npm")), "python", DIGEST),
    ]
    assert len(set(families)) == len(families)
    assert family_of(MAIN, REQUEST, "other-name", DIGEST) == families[0]  # the digest is what counts
    assert family_of(replace(MAIN, id="other"), replace(REQUEST, sequence=2, key="x"), "python", DIGEST) == families[0]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("node_modules/", "/workspace/node_modules"),
        ("./a//b/.", "/workspace/a/b"),
        ("~/.cache/pip/", "~/.cache/pip"),
        ("/root/.m2", "/root/.m2"),
        ("/workspace/target", "/workspace/target"),
    ],
)
def test_paths_have_one_form(path: str, kept: str) -> None:
    assert checked_request(replace(REQUEST, paths=(path,))).paths == (kept,)


@pytest.mark.parametrize(
    "changes",
    [
        {"paths": (path,)}
        for path in (
            "",
            "/",
            "//",
            ".",
            "/workspace",
            "/workspace/",
            "~",
            "~/",
            "~root/x",
            "../x",
            "a/../../b",
            "*.whl",
            "a\nb",
        )
    ]
    + [
        {"paths": ()},
        {"paths": ("a",) * 33},
        {"paths": ("a", "a/b")},
        {"paths": ("a", "./a")},
        {"paths": ("x" * 1001,)},
    ]
    + [{"name": ""}, {"name": "../x"}, {"name": "x" * 65}, {"key": ""}, {"key": "a\nb"}, {"key": "x" * 513}]
    + [{"fallback": ("x",) * 11}, {"fallback": ("\0",)}],
    ids=str,
)
def test_what_no_cache_can_have_is_refused_with_a_hint(changes: Mapping[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        checked_request(replace(REQUEST, **changes))
    assert refused.value.hint


def an_entry(entry_id: str, size_bytes: int = 10, used_at: float = 0.0, *, trusted: bool = True) -> CacheEntry:
    scope = CacheScope("refs/heads/main" if trusted else "pull/5", trusted)
    return CacheEntry(
        entry_id, "app", "family", "pip", entry_id, scope, False, "host", "0" * 64, size_bytes, "j", 0.0, used_at
    )


def removed(found: object) -> str | None:
    return None if found is None else "".join(one.id for one in found)  # type: ignore[attr-defined]


def test_proposals_make_room_first_then_the_least_recently_used() -> None:
    entries = [an_entry("a", used_at=1), an_entry("b", used_at=2), an_entry("c", used_at=9, trusted=False)]
    trusted, fork = CacheScope("refs/heads/x"), CacheScope("pull/7", trusted=False)
    assert removed(evicted(entries, trusted, 10, 40)) == ""
    assert removed(evicted(entries, trusted, 10, 30)) == "c"
    assert removed(evicted(entries, trusted, 20, 30)) == "ca"
    assert removed(evicted(entries, trusted, 31, 30)) is None
    assert removed(evicted(entries, fork, 10, 30)) == "c"
    assert removed(evicted(entries, fork, 11, 30)) is None  # it does not remove what trusted jobs have kept


def test_the_number_of_entries_is_bounded() -> None:
    many = [an_entry(f"{number:04}", used_at=number) for number in range(MAX_ENTRIES)]
    assert removed(evicted(many, CacheScope("refs/heads/x"), 1, 10**9)) == "0000"
    assert evicted(many, CacheScope("pull/1", trusted=False), 1, 10**9) is None


def test_retention_removes_unused_entries_and_those_above_the_limit() -> None:
    entries = [an_entry("a", used_at=0), an_entry("b", used_at=60), an_entry("c", used_at=80)]
    assert removed(due(entries, 50, 0, now=100)) == "a"
    assert removed(due(entries, 50, 10, now=100)) == "ab"
    assert removed(due(entries, 1000, 20, now=100)) == "a"
    assert removed(due(entries, 1000, 0, now=100)) == ""
