"""The variables that tell a step about its job."""

import pytest

from danube_pkg.core.jobs.environment import job_environment, job_url, merged
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import replace

SHA = "c0ffee" * 6 + "c0de"
SETTINGS = PipelineSettings("https://git.example.org/team/app")
PUSH = Trigger("webhook", "alice", Revision(SHA, "refs/heads/main", branch="main"))
JOB = Job("01j", "id-app", "app", PUSH, SETTINGS, 0.0)


def test_a_push_has_its_commit_branch_and_page() -> None:
    found = job_environment(JOB, "https://ci.example.org/")
    assert {name: value for name, value in found.items() if name.startswith("DANUBE_")} == {
        "DANUBE_PIPELINE": "app",
        "DANUBE_JOB_ID": "01j",
        "DANUBE_JOB_URL": "https://ci.example.org/jobs/01j",
        "DANUBE_TRIGGER": "webhook",
        "DANUBE_UPSTREAM_JOB_ID": "",
        "DANUBE_REPOSITORY": "https://git.example.org/team/app",
        "DANUBE_COMMIT": SHA,
        "DANUBE_REF": "refs/heads/main",
        "DANUBE_BRANCH": "main",
        "DANUBE_TAG": "",
        "DANUBE_PULL_REQUEST": "",
        "DANUBE_TARGET_BRANCH": "",
    }
    assert {found[name] for name in ("CI_COMMIT_SHA", "GIT_COMMIT")} == {SHA}
    assert {found[name] for name in ("CI_COMMIT_BRANCH", "CI_BRANCH", "GIT_BRANCH")} == {"main"}


def test_usual_names_without_a_value_are_left_out() -> None:
    """A program that finds `CI_COMMIT_TAG` set, though empty, would take the job for that of a tag."""
    tag = replace(JOB, trigger=Trigger("webhook", "alice", Revision(SHA, "refs/tags/v1", tag="v1")))
    found = job_environment(tag, "")
    assert found["CI_COMMIT_TAG"] == found["DANUBE_TAG"] == "v1"
    assert not {"CI_COMMIT_BRANCH", "GIT_BRANCH", "CI_PULL_REQUEST", "CI_BUILD_URL"} & set(found)
    assert found["DANUBE_JOB_URL"] == ""


def test_a_pull_request_has_its_number_and_target() -> None:
    proposal = {"number": 7, "target_branch": "main", "fork": True}
    job = replace(JOB, trigger=Trigger("webhook", "mallory", Revision(SHA, "refs/pull/7/head"), pull_request=proposal))
    found = job_environment(job, "")
    assert (found["DANUBE_PULL_REQUEST"], found["CI_PULL_REQUEST"], found["DANUBE_TARGET_BRANCH"]) == ("7", "7", "main")


def test_a_job_that_another_one_started_knows_it() -> None:
    job = replace(JOB, trigger=Trigger("pipeline", "job 01i of test", Revision(SHA), upstream_job_id="01i"))
    assert job_environment(job, "")["DANUBE_UPSTREAM_JOB_ID"] == "01i"


def test_the_pipelines_own_variables_replace_the_jobs() -> None:
    settings = replace(SETTINGS, environment={"GIT_BRANCH": "trunk", "LEVEL": "debug"})
    found = job_environment(replace(JOB, settings=settings), "")
    assert (found["GIT_BRANCH"], found["LEVEL"], found["CI_BRANCH"]) == ("trunk", "debug", "main")


@pytest.mark.parametrize(("cpu", "count"), [(0.0, None), (0.5, "1"), (1.0, "1"), (2.5, "3")])
def test_programs_that_count_processors_know_how_many_the_job_may_use(cpu: float, count: str | None) -> None:
    found = job_environment(replace(JOB, settings=replace(SETTINGS, cpu=cpu)), "")
    assert {found.get(name) for name in ("GOMAXPROCS", "CMAKE_BUILD_PARALLEL_LEVEL", "PYTHON_CPU_COUNT")} == {count}


def test_a_jvm_knows_the_memory_of_its_job_beside_the_proxy() -> None:
    limited = replace(JOB, settings=replace(SETTINGS, memory_mb=512))
    proxy = {"JAVA_TOOL_OPTIONS": "-Dhttp.proxyHost=127.1.0.1", "HTTP_PROXY": "http://127.1.0.1"}
    found = merged(job_environment(limited, ""), proxy)
    assert found["JAVA_TOOL_OPTIONS"] == "-XX:MaxRAM=512m -Dhttp.proxyHost=127.1.0.1"
    assert merged(job_environment(JOB, ""), proxy)["JAVA_TOOL_OPTIONS"] == proxy["JAVA_TOOL_OPTIONS"]
    assert "JAVA_TOOL_OPTIONS" not in merged(job_environment(JOB, ""), {})
    own = replace(limited, settings=replace(limited.settings, environment={"JAVA_TOOL_OPTIONS": "-Xmx1g"}))
    assert merged(job_environment(own, ""), proxy)["JAVA_TOOL_OPTIONS"] == "-Xmx1g -Dhttp.proxyHost=127.1.0.1"


def test_no_variable_of_another_system_is_set() -> None:
    foreign = ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "WOODPECKER", "DRONE", "BUILDKITE", "CIRCLECI", "TRAVIS")
    assert not set(foreign) & set(job_environment(JOB, "https://ci.example.org"))


def test_a_server_that_does_not_know_its_url_gives_no_link() -> None:
    assert job_url("01j", "") == ""
    assert job_url("", "https://ci.example.org") == ""
