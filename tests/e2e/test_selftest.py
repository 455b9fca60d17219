"""`danube selftest` as an operator runs it: a short check, faults, and jobs in a row. Nothing of it is left."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.danube_process import ROOT, run_danube

pytestmark = pytest.mark.long


def selftest(directory: Path, *words: str) -> dict[str, Any]:
    """Run it to its end; the scratch directory is kept by the test if a promise is broken."""
    command = ["selftest", "--directory", str(directory), "--json", *words]
    done = run_danube(command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(ROOT)}, directory, "", 900)
    report = json.loads(done.stdout)
    broken = [one for one in report["promises"] if one["problems"]]
    assert not broken, json.dumps(report)[:5000]
    assert (done.returncode, report["passed"], report["kept"]) == (0, True, "")
    assert list(directory.iterdir()) == []
    assert isinstance(report, dict)
    return report


def test_a_short_check_runs_a_job_of_each_kind_over_a_kill(tmp_path: Path) -> None:
    figures = selftest(tmp_path)["figures"]
    assert set(figures["ends"]) == {
        "cancelled cancelled", "cloned success", "fails failure", "overdue timeout", "whole success"
    }  # fmt: skip
    assert figures["faults"] == {"kill-server": 1}


def test_the_promises_hold_while_everything_is_broken(tmp_path: Path) -> None:
    report = selftest(tmp_path, "--chaos", "60", "--seed", "11")
    assert len(report["faults"]) >= 3
    assert report["figures"]["jobs_ended"] >= 8


def test_nothing_grows_with_the_number_of_jobs(tmp_path: Path) -> None:
    report = selftest(tmp_path, "--jobs", "80")
    assert report["figures"]["ends"] == {"small success": 80}
    before, first, last = (report["samples"][at] for at in (0, 1, -1))
    assert (before["jobs"], last["jobs"]) == (0, 80)
    assert 50 <= first["jobs"] < 80, "the second sample is taken once 50 jobs have ended; more may end meanwhile"
    assert set(last["of_pods"]) == {"process", "mount", "loop device", "control group", "range of user ids", "file"}
    assert (last["of_pods"], last["rows"]["jobs"]) == (before["of_pods"], 80)
