"""How much history the source of a job has, from its pipeline's settings and its trigger."""

import pytest

from danube_pkg.core.repositories.revisions import History
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs.source_trees import history_of
from tests.services.stores import a_job

REQUEST = {"number": 7, "target_branch": "main", "trusted": False}


@pytest.mark.parametrize(
    ("depth", "tags", "request_", "expected"),
    [
        (1, False, None, None),
        (1, False, REQUEST, None),
        (1, True, None, History(1, tags=True)),
        (50, False, None, History(50)),
        (0, True, REQUEST, History(0, tags=True, branch="main")),
    ],
)
def test_history_is_what_the_pipeline_asks_for(
    depth: int, tags: bool, request_: dict[str, object] | None, expected: History | None
) -> None:
    job = a_job()
    settings = replace(job.settings, clone_depth=depth, clone_tags=tags)
    assert history_of(replace(job, settings=settings, trigger=replace(job.trigger, pull_request=request_))) == expected
