"""The chain of records that a job's statement seals."""

import json

from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.sealed_records import first_break
from danube_pkg.kit.records import replace
from tests.core.jobs.test_transitions import CLOSING, GREEN, RED, RUNNING, a_step, after


def test_every_attempt_is_sealed_with_the_log_and_the_ledger_at_the_end() -> None:
    retried = [*a_step(1, retries=1), ev.StepEnded(1, 1, RED), ev.StepPlaced(1, 2, 1), ev.StepEnded(1, 2, GREEN)]
    job, _ = after(*RUNNING, *retried, ev.Finished())
    assert len(job.records) == 2, "the chain grows while the job runs"
    job, _ = after(*CLOSING[:-1], job=job)
    found = [json.loads(record.content) for record in job.records]
    assert [(one["kind"], one.get("sequence"), one.get("attempt"), one.get("exitCode")) for one in found] == [
        ("step", 1, 1, 3),
        ("step", 1, 2, 0),
        ("step", 0, 1, None),
        ("log", None, None, None),
        ("egress", None, None, None),
    ]
    assert first_break(job.id, job.records) == 0
    assert first_break("another job", job.records) == 1
    for number, record in enumerate(job.records):
        changed = replace(record, content=record.content.replace("1", "2", 1))
        broken = (*job.records[:number], changed, *job.records[number + 1 :])
        if changed != record:
            assert first_break(job.id, broken) == number + 1
        assert first_break(job.id, (*job.records[:number], *job.records[number + 1 :])) == (
            0 if number == len(job.records) - 1 else number + 1
        )
