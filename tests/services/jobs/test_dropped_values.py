"""A secret's clear value is dropped with the last job that could print it."""

import gc
import sys
from pathlib import Path
from types import ModuleType

import pytest

from danube_pkg.core.jobs import job as job_module
from danube_pkg.core.jobs.job import Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.secrets.secret import SecretName
from tests.services.stores import PIPELINE
from tests.support.engine import open_engine_setup
from tests.support.waiting import wait_until_async

PARTS = (b"Kx9-value", b"-of-nothing-but-this-test")
"""Put together where it is used, so that the test itself does not hold it."""


OF_THE_TESTS = ("tests", "_pytest", "pluggy", "xdist", "hypothesis")
"""Packages whose objects, a million with all tests, lead to no object of Danube that is not found otherwise."""


def held() -> list[str]:
    """The types of all objects that hold the value, by every reference that Python knows: from Danube's modules, and
    from what was made since the tests were collected, the only objects that the garbage collector lists
    (tests/conftest.py)."""
    value = b"".join(PARTS)
    left: list[object] = [module for name, module in sys.modules.items() if name.startswith("danube")]
    left += gc.get_objects()
    found, seen, skipped = [], set[int](), dict[type, bool]()
    own = {id(value), id(left), id(seen), id(skipped)}
    while left:
        one = left.pop()
        if id(one) in seen or id(one) in own:
            continue
        seen.add(id(one))
        kind = type(one)
        if kind not in skipped:
            skipped[kind] = str(getattr(kind, "__module__", "")).startswith(OF_THE_TESTS)
        if isinstance(one, bytes | bytearray):
            found += ["bytes"] if value in one else []
        elif isinstance(one, str):
            found += ["str"] if value.decode() in one else []
        elif not skipped[kind] and not (isinstance(one, ModuleType) and one.__name__.startswith(OF_THE_TESTS)):
            left += gc.get_referents(one)
    return found


def test_what_a_module_keeps_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "kept", {"by": ["a module"]}, raising=False)
    assert held() == []
    job_module.kept["by"].append(b"before " + b"".join(PARTS))  # type: ignore[attr-defined]
    assert held() == ["bytes"]


async def test_no_object_holds_a_value_when_the_job_that_read_it_has_ended(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName(None, "TOKEN"), b"".join(PARTS), "me")
        assert held() == []
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        await setup.coordination.read_secret(job.id, 1, "TOKEN")
        assert held()
        await setup.engine.cancel(job.id, "me")
        await wait_until_async(lambda: not setup.engine.open_jobs, 30, "the job to be closed")
        await wait_until_async(lambda: held() == [], 30, "the value to be dropped")


async def test_a_job_that_cannot_read_a_value_does_not_hold_it(tmp_path: Path) -> None:
    async with open_engine_setup(tmp_path) as setup:
        await setup.secrets.set(SecretName("another", "TOKEN"), b"".join(PARTS), "me")
        job = await setup.engine.submit(PIPELINE, Trigger("manual", "me"))
        await setup.engine.active_job(job.id).wait_until(lambda job: job.phase is Phase.RUNNING)
        assert held() == []
