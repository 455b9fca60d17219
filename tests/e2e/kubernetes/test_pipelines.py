"""Twenty pipelines at once on a cluster: each ends as it must, with its log whole."""

import pytest

from tests.e2e.kubernetes.pipelines import PIPELINES
from tests.support.server import Installation

SECONDS = 300.0


@pytest.mark.long
def test_twenty_pipelines_end_as_they_must(on_cluster: Installation) -> None:
    for name, case in PIPELINES.items():
        on_cluster.pipeline(name, case.danubefile, case.files, **case.spec)
    on_cluster.sync()
    started = {name: on_cluster.trigger(name) for name in PIPELINES}
    jobs = {name: on_cluster.end_of(job_id, SECONDS) for name, job_id in started.items()}
    ends = {name: (job["status"], job["reason"] or "") for name, job in jobs.items()}
    assert ends == {name: (case.status, case.reason) for name, case in PIPELINES.items()}
    printed = {name: on_cluster.printed(job_id) for name, job_id in started.items()}
    missing = [(name, text) for name, case in PIPELINES.items() for text in case.printed if text not in printed[name]]
    assert not missing
    lines = [line for line in printed["many-lines"].splitlines() if line.endswith("of many")]
    assert lines == [f"line {number} of many" for number in range(20_000)]
    assert len(PIPELINES) == 20
