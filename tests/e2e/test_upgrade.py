"""An upgrade without a drain: the server of an older revision is stopped, that of this tree is started, and the jobs
that ran meanwhile continue."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.store.migrations import MIGRATIONS
from tests.e2e.test_survival import assert_whole, prepared
from tests.support.server import ROOT, Installation

SCHEMA = "danube_pkg/adapters/store/migrations.py"

pytestmark = pytest.mark.long


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Path]:
    """The tree of the revision before the newest change of the schema, with the supervisor of this one."""
    tree = tmp_path / "older"
    newest = git("log", "-1", "--format=%H", "--", SCHEMA)
    git("worktree", "add", "--detach", str(tree), f"{newest}^")
    (tree / "build").symlink_to(ROOT / "build")
    yield tree
    (tree / "build").unlink()
    git("worktree", "remove", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)


def test_running_jobs_continue_under_the_new_version(danube: Installation, older: Path) -> None:
    new_path = danube.environment["PYTHONPATH"]
    danube.environment["PYTHONPATH"] = f"{older}:{older / 'sdk'}"
    prepared(danube)
    job_id, waiting = danube.trigger("counter"), danube.trigger("counter")
    danube.wait_for_log(job_id, "line-50=")
    danube.stop()
    danube.environment["PYTHONPATH"] = new_path
    danube.serve()
    (copy,) = danube.data.glob("danube.db.schema-*")
    assert int(copy.name.rpartition("-")[2]) < len(MIGRATIONS)
    for job in (job_id, waiting):
        assert danube.end_of(job)["status"] == "success"
        assert_whole(danube, job)
    assert danube.command("audit", "--check").stdout.startswith("audit log OK")
