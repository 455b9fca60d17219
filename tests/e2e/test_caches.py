"""Caches in real containers: files of a home and of the workspace come back in the next run, and only for their key."""

from pathlib import Path

import pytest

from tests.e2e.runs import danube_run

pytestmark = pytest.mark.long

DANUBEFILE = """
from danube import cache, hash_files, pipeline, step

@pipeline(name="t")
def build():
    with cache("deps", paths=["~/.cache/deps", "deps"], key=hash_files("*.lock")) as found:
        print("hit:", found.hit)
        step.run("cat ~/.cache/deps/file deps/tool || echo nothing", name="See")
        step.run("mkdir -p ~/.cache/deps deps; cat one.lock > ~/.cache/deps/file; echo tool > deps/tool; chmod 555 deps")
"""


def test_a_cache_comes_back_for_its_key_alone(tmp_path: Path) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    state.mkdir()
    (tree / "danubefile.py").write_text(DANUBEFILE)
    (tree / "one.lock").write_text("first\n")
    runs = [danube_run(tree, state=state), danube_run(tree, state=state)]
    (tree / "one.lock").write_text("second\n")
    runs.append(danube_run(tree, state=state))
    for run in runs:
        assert run.code == 0, run.everything
    first, second, third = (run.printed for run in runs)
    assert "hit: False" in first
    assert "--- cache deps: nothing is stored for key" in first
    assert "--- cache deps: stored" in first
    assert "hit: True" in second
    assert "first\ntool\n" in second
    assert "--- cache deps: restored key" in second
    assert "hit: False" in third
    assert "nothing\n" in third
    # Nothing of a cache is in the run's own directory, which is removed with it.
    assert not list((state / "danube" / "runs").glob("*/caches/*/*"))
