"""The variables that tell a step's command about its job.

Beside Danube's own names it sets those that other systems made usual, because programs read them: `CI_COMMIT_*` as in
GitLab and Woodpecker, `GIT_COMMIT` and `GIT_BRANCH` as in Jenkins, `CI_BRANCH`, `CI_BUILD_URL` and `CI_PULL_REQUEST` as
coverage services define them for any CI system. Variables by which programs recognise another system (`GITLAB_CI`,
`JENKINS_URL`) are never set.
"""

import math
from collections.abc import Mapping

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.urls import without_login

SHORT_SHA = 12

JAVA_OPTIONS = "JAVA_TOOL_OPTIONS"
"""A JVM takes the memory of the machine for its own where it finds no control groups, or not all of version 1."""

PROCESSOR_COUNTS = ("GOMAXPROCS", "CMAKE_BUILD_PARALLEL_LEVEL", "OMP_NUM_THREADS", "PYTHON_CPU_COUNT")
"""For programs that count the machine's processors and not those that `resources.cpu` leaves them."""


def job_url(job_id: str, external_url: str) -> str:
    """The URL of a job's page; "" where no external URL is configured."""
    return f"{external_url.rstrip('/')}/jobs/{job_id}" if external_url and job_id else ""


def job_environment(job: Job, external_url: str) -> Mapping[str, str]:
    """The variables of each step of a job. Those named DANUBE_ are always set, possibly empty, for scripts with
    `set -u`; the others only where they have a value. The pipeline's own `env` replaces any of them."""
    revision, url = job.trigger.revision, job_url(job.id, external_url)
    number = str((job.trigger.pull_request or {}).get("number") or "")
    own = {
        "DANUBE_PIPELINE": job.pipeline,
        "DANUBE_JOB_ID": job.id,
        "DANUBE_JOB_URL": url,
        "DANUBE_TRIGGER": job.trigger.type,
        "DANUBE_UPSTREAM_JOB_ID": job.trigger.upstream_job_id,
        "DANUBE_REPOSITORY": job.settings.repository,
        "DANUBE_COMMIT": revision.commit_sha,
        "DANUBE_REF": revision.ref,
        "DANUBE_BRANCH": revision.branch,
        "DANUBE_TAG": revision.tag,
        "DANUBE_PULL_REQUEST": number,
        "DANUBE_TARGET_BRANCH": job.trigger.target_branch,
    }
    usual = {
        "CI_NAME": "danube",
        "CI_COMMIT_SHA": revision.commit_sha,
        "CI_COMMIT_SHORT_SHA": revision.commit_sha[:SHORT_SHA],
        "CI_COMMIT_BRANCH": revision.branch,
        "CI_COMMIT_TAG": revision.tag,
        "CI_BRANCH": revision.branch,
        "CI_BUILD_NUMBER": job.id,
        "CI_BUILD_URL": url,
        "CI_PULL_REQUEST": number,
        "GIT_COMMIT": revision.commit_sha,
        "GIT_BRANCH": revision.branch,
    }
    usual |= dict.fromkeys(PROCESSOR_COUNTS, str(math.ceil(job.settings.cpu)) if job.settings.cpu else "")
    usual[JAVA_OPTIONS] = f"-XX:MaxRAM={job.settings.memory_mb}m" if job.settings.memory_mb else ""
    return own | {name: value for name, value in usual.items() if value} | dict(job.settings.environment)


def lasting_environment(job: Job) -> Mapping[str, str]:
    """The variables of a step whose snapshot later jobs restore: those that are the same in all jobs of a pipeline.
    Git refreshes `.git/index` when it only reads, and a step that changes a file of the commit has no snapshot."""
    own = {
        "DANUBE_PIPELINE": job.pipeline,
        "DANUBE_REPOSITORY": without_login(job.settings.repository),
        "CI_NAME": "danube",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    return own | dict(job.settings.environment)


def merged(*environments: Mapping[str, str]) -> Mapping[str, str]:
    """Later ones replace earlier ones, but for the options of JVMs: each of them sets some."""
    options = " ".join(filter(None, (one.get(JAVA_OPTIONS, "") for one in environments)))
    found = {name: value for one in environments for name, value in one.items()}
    return found | {JAVA_OPTIONS: options} if options else found
