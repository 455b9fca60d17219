"""A data directory that is opened: one server has it, a copy is another directory, and a lost one is noticed."""

import asyncio
import logging
import shutil
from pathlib import Path

import pytest

from danube_pkg.bootstrap.store import LOCK_CHECK_SECONDS, open_store, wait_lost
from danube_pkg.core.errors import Conflict
from danube_pkg.kit.directory_identity import identify
from danube_pkg.kit.records import replace
from tests.support.moved_clock import MovedClock
from tests.support.waiting import wait_until_async


async def test_a_directory_whose_lock_file_was_removed_is_refused_to_a_second_server(tmp_path: Path) -> None:
    async with open_store(tmp_path / "data"):
        (tmp_path / "data" / "danube.lock").unlink()
        with pytest.raises(Conflict) as refused:
            async with open_store(tmp_path / "data"):
                raise AssertionError("it was opened twice")
    assert refused.value.reference == "data-directory-locked"


async def test_a_copy_gets_an_identity_of_its_own_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(tmp_path / "data"):
        original = identify(tmp_path / "data").id
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        with caplog.at_level(logging.WARNING, "danube.store"):
            async with open_store(tmp_path / "copy"):
                copy = identify(tmp_path / "copy").id
    assert copy != original == identify(tmp_path / "data").id
    fields = [record.__dict__["fields"] for record in caplog.records if record.message == "data-directory-copied"]
    assert [(one["identity"], one["copy_of"]) for one in fields] == [(copy, original)]


async def test_a_server_notices_that_its_directory_was_replaced(tmp_path: Path) -> None:
    async with open_store(tmp_path / "data") as store:
        clock = MovedClock(0)
        moved = replace(store, timing=replace(store.timing, clock=clock))
        waiting = asyncio.create_task(wait_lost(moved), name="lost")
        for _ in range(2):
            await wait_until_async(lambda: clock.next_wake is not None, 5, "the next check")
            assert not waiting.done()
            clock.move(LOCK_CHECK_SECONDS)
        await wait_until_async(lambda: clock.next_wake is not None, 5, "the next check")
        (tmp_path / "data").rename(tmp_path / "moved")
        (tmp_path / "data").mkdir()
        clock.move(LOCK_CHECK_SECONDS)
        lost = await waiting
    assert lost.reference == "data-directory-replaced"
    assert lost.cause == f"{tmp_path}/data is not the one that this process opened"
    assert lost.hint.endswith(f"start the server again: ls -ld {tmp_path}/data")
