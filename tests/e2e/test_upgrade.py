"""An upgrade without a drain: the server of an older revision is stopped, that of this tree is started, and the jobs
that ran meanwhile continue."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.store.migrations import MIGRATIONS
from tests.e2e.test_survival import assert_whole, prepared
from tests.support.server import ROOT, Installation

SCHEMA = "danube_pkg/adapters/store/migrations.py"
MAX_REVISIONS = 40

pytestmark = pytest.mark.long


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def schema_at(revision: str) -> tuple[str, ...]:
    """The migrations in that revision."""
    for node in ast.parse(git("show", f"{revision}:{SCHEMA}")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            return tuple(ast.literal_eval(node.value))
    return ()


def older_revision() -> str:
    """The newest revision with an older schema that the present one continues. On a branch that was merged, a step may
    have had another number; no server was ever upgraded from there."""
    for revision in git("log", "--format=%H", f"--max-count={MAX_REVISIONS}", "--", SCHEMA).split():
        known = schema_at(revision)
        if len(known) < len(MIGRATIONS) and MIGRATIONS[: len(known)] == known:
            return revision
    raise AssertionError(f"none of the last {MAX_REVISIONS} changes of the schema is an older one: fetch the history")


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Path]:
    """The tree of that revision, with the supervisor of this one."""
    tree = tmp_path / "older"
    git("worktree", "add", "--detach", str(tree), older_revision())
    (tree / "build").symlink_to(ROOT / "build")
    yield tree
    (tree / "build").unlink()
    git("worktree", "remove", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)


def test_running_jobs_continue_under_the_new_version(danube: Installation, older: Path) -> None:
    danube._interpreter = True  # a copy of this process would have its modules
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
