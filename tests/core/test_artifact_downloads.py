"""Which artifacts a job may have: of its pipeline, its team or its repository; of less trusted code only when asked."""

from typing import Any

import pytest

from danube_pkg.core.artifact_downloads import (
    DownloadRequest,
    check_download,
    is_of_same_ref,
    is_shared,
    is_trusted_enough,
)
from danube_pkg.core.errors import Invalid
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.repositories.revisions import Revision


def a_job(pipeline_id: str = "p1", repository: str = "r1", pull: dict[str, Any] | None = None, **where: Any) -> Job:
    trigger = Trigger("webhook", "me", Revision(**where), pull_request=pull)
    return Job("01", pipeline_id, pipeline_id, trigger, PipelineSettings(repository), created_at=0.0)


@pytest.mark.parametrize(
    ("other", "team", "other_team", "shared"),
    [
        (a_job("p1", "r2"), "a", "b", True),  # its own pipeline
        (a_job("p2", "r2"), "a", "a", True),  # its team's
        (a_job("p2", "r1"), "a", "b", False),  # another team that builds the same repository
        (a_job("p2", "r1"), "", "a", False),
        (a_job("p2", "r1"), "", "", True),  # no teams: the same repository
        (a_job("p2", "r2"), "", "", False),
    ],
)
def test_a_job_has_artifacts_of_its_pipeline_team_or_repository(
    other: Job, team: str, other_team: str, shared: bool
) -> None:
    assert is_shared(a_job(), team, other, other_team) is shared


FORK = {"number": 1, "trusted": False}


@pytest.mark.parametrize(
    ("job", "other", "asked", "allowed"),
    [
        (a_job(), a_job(), False, True),
        (a_job(), a_job(pull=FORK), False, False),
        (a_job(), a_job(pull=FORK), True, True),
        (a_job(), a_job(pull={"number": 1, "trusted": True}), False, True),
        (a_job(pull=FORK), a_job(pull=FORK), False, True),
        (a_job(pull=FORK), a_job(pull={"number": 2, "trusted": False}), True, False),
        (a_job(pull=FORK), a_job(), True, False),  # a fork must not carry private artifacts away
        (a_job(pull=FORK), a_job("p1", "r2", pull=FORK), False, False),
    ],
)
def test_artifacts_go_from_trusted_to_trusted_code(job: Job, other: Job, asked: bool, allowed: bool) -> None:
    assert is_trusted_enough(job, other, allow_untrusted=asked) is allowed


def test_the_newest_job_of_a_pipeline_is_of_the_same_branch_or_tag() -> None:
    main, tag = a_job(ref="main", branch="main"), a_job(ref="v1", tag="v1")
    assert is_of_same_ref(main, main, "")
    assert not is_of_same_ref(tag, main, "")
    assert is_of_same_ref(tag, tag, "")
    assert is_of_same_ref(tag, main, "main")
    assert not is_of_same_ref(main, a_job(ref="next", branch="next"), "")


@pytest.mark.parametrize(
    "source", [{}, {"job": "01", "pipeline": "p"}, {"branch": "main"}, {"job": "01", "branch": "main"}]
)
def test_a_source_is_named_in_one_way(source: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="either a job or a pipeline"):
        check_download(DownloadRequest(1, "dist", **source))
