"""A backup of a server with a running job is restored beside it: the copy is paused and leaves the original alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import closing
from tests.e2e.test_survival import COUNTER, SECRET, assert_whole, prepared
from tests.support.server import Installation

pytestmark = pytest.mark.long


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Installation]:
    """An installation beside that of `danube`."""
    (tmp_path / "second").mkdir()
    yield from closing(Installation(tmp_path / "second"))


def test_a_restored_server_runs_beside_the_original(danube: Installation, second: Installation, tmp_path: Path) -> None:
    prepared(danube)
    job_id = danube.trigger("counter")
    danube.wait_for_log(job_id, "line-50=")
    backup = str(tmp_path / "backup")
    danube.command("backup", backup, "--include", "logs", "--data", str(danube.data))
    second.command("restore", backup, "--data", str(second.data))
    second.pipeline("counter", COUNTER)
    second.serve()
    copy = second.job(job_id)
    assert (copy["status"], copy["reason"]) == ("failure", "infrastructure-lost")
    refused = second.command("trigger", "counter", check=False)
    assert "restored from a backup" in refused.stderr
    assert "restored from a backup" in second.command("config", "status", check=False).stdout
    second.command("resume")
    again = second.trigger("counter")
    assert second.end_of(again)["status"] == "success"
    assert_whole(second, again)
    assert danube.end_of(job_id)["status"] == "success"
    assert_whole(danube, job_id)
    assert second.files_with(SECRET.encode()) == []
