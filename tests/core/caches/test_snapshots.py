"""What a snapshot's key is made of, and when a step has none."""

from collections.abc import Mapping
from typing import Any

import pytest

from danube_pkg.core.caches.cache import CacheUse
from danube_pkg.core.caches.snapshots import SnapshotPlace, chain_of, snapshot_parts, snapshot_problem
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Rebuild
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.records import replace
from tests.services.stores import a_job

JOB = a_job()
STEP = Step("s-9", 9, "install", "node:20")
PLACE = SnapshotPlace(1, "sha256:" + "1" * 64)
REQUEST = StepRequest(9, "install", "npm ci", "node:20", {}, "/workspace", 0, 0, True, snapshot="k")
EARLIER = Step("s-1", 1, "base", "node:20", phase=StepPhase.ENDED, container=1, snapshot="a" * 64)
USE = CacheUse("j", 1, "npm", "k", "c" * 64, 1, "other", "refs/heads/main", True, False, 0.0)


def with_steps(*steps: Step) -> Job:
    return replace(JOB, steps=(*steps, STEP))


def parts(job: Job, place: SnapshotPlace = PLACE, uses: tuple[CacheUse, ...] = ()) -> bytes:
    return snapshot_parts(job, STEP, REQUEST, place, REQUEST.environment, uses)


@pytest.mark.parametrize(
    "settings", [{"network": Network.LEARN}, {"run_as_root": True}, {"repository": "https://git.example.org/other"}]
)
def test_settings_that_change_what_a_command_finds_are_in_the_key(settings: Mapping[str, Any]) -> None:
    job = with_steps()
    assert parts(job) != parts(replace(job, settings=replace(job.settings, **settings)))


def test_the_key_has_the_image_the_chain_and_the_caches() -> None:
    job = with_steps()
    found = [
        parts(job),
        parts(job, replace(PLACE, image_digest="sha256:" + "2" * 64)),
        parts(with_steps(EARLIER)),
        parts(with_steps(replace(EARLIER, snapshot="b" * 64))),
        parts(job, uses=(USE,)),
        parts(job, uses=(replace(USE, sha256="d" * 64),)),
    ]
    assert len(set(found)) == len(found)
    assert parts(job, uses=(replace(USE, sequence=0, step=3),)) == parts(job)  # the chain has snapshots


def test_the_chain_is_that_of_the_container() -> None:
    other = replace(EARLIER, id="s-2", sequence=2, container=2, snapshot="")
    later = replace(EARLIER, id="s-3", sequence=3, snapshot="b" * 64)
    job = with_steps(EARLIER, other, later)
    assert list(chain_of(job, STEP, PLACE)) == ["a" * 64, "b" * 64]
    assert snapshot_problem(job, STEP, PLACE) == ""


@pytest.mark.parametrize(
    ("job", "step", "place", "why"),
    [
        (with_steps(replace(EARLIER, snapshot="")), STEP, PLACE, "ran in its container before it without a snapshot"),
        (with_steps(replace(EARLIER, phase=StepPhase.STARTED)), STEP, PLACE, "runs at the same time"),
        (with_steps(replace(EARLIER, phase=StepPhase.WAITING, container=None)), STEP, PLACE, "runs at the same time"),
        (with_steps(), replace(STEP, attempt=2), PLACE, "an earlier attempt has left files"),
        (with_steps(), replace(STEP, image="host"), replace(PLACE, image_digest=""), "has no digest"),
        (with_steps(), STEP, replace(PLACE, image_digest=""), "has no digest"),
        (replace(with_steps(), settings=replace(JOB.settings, cache=False)), STEP, PLACE, "cache: off"),
        (replace(with_steps(), trigger=replace(JOB.trigger, rebuild=Rebuild("j"))), STEP, PLACE, "a rebuild runs"),
    ],
)
def test_a_step_that_something_else_may_have_influenced_has_none(
    job: Job, step: Step, place: SnapshotPlace, why: str
) -> None:
    assert why in snapshot_problem(job, step, place)
