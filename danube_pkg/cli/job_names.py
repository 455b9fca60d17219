"""What a user may write for a job: its id, the first characters of one, `@latest`, `PIPELINE@latest`,
`PIPELINE@BRANCH`. A rebuild is named by its id alone: what is asked of the newest job is not asked of a check of an
older one."""

import re

from danube_pkg.cli.client import ApiClient
from danube_pkg.core.errors import Invalid, NotFound
from danube_pkg.kit.ids import TIME_DIGITS

JOB_HELP = "a job's id or its first characters, @latest, PIPELINE@latest or PIPELINE@BRANCH"
LATEST = "latest"

SHORTEST = 4
"""The fewest characters of an id: fewer are the same for years."""

_LAST = "z"
"""The last character of an id's alphabet."""

_LENGTH = 26
_NAMED = 5
"""Jobs that are named where a beginning is ambiguous."""

_REBUILDS = 200
"""So many of the newest jobs may be rebuilds and are passed over."""

_BEGINNING = re.compile(r"[0-9a-z]+")


def job_id(client: ApiClient, text: str) -> str:
    """The id of the job. A whole id is returned without a request. Raises NotFound, Invalid for an ambiguous text."""
    pipeline, at, branch = text.rpartition("@")
    if at:
        return _newest(client, pipeline, branch, text)
    if len(text) >= _LENGTH or len(text) < SHORTEST or not _BEGINNING.fullmatch(text):
        return text
    # A list continues below its cursor, and ids sort by time: the first one below the last possible id.
    cursor = text.ljust(_LENGTH, _LAST)
    found = list(client.listed("/api/v1/jobs", "jobs", {"cursor": cursor}, limit=_NAMED + 1))
    ids = [job["id"] for job in found if job["id"].startswith(text)]
    if len(ids) > 1:
        others = f" and others that differ after {TIME_DIGITS} characters" if len(ids) > _NAMED else ""
        raise Invalid(
            "job-ambiguous",
            f"several jobs begin with {text!r}: {', '.join(ids[:_NAMED])}{others}",
            hint="write more characters, or PIPELINE@BRANCH",
        )
    return str(ids[0]) if ids else text  # the server answers for an unknown one, or for an id of another form


def _newest(client: ApiClient, pipeline: str, branch: str, text: str) -> str:
    if not branch:
        raise Invalid("job-invalid", f"{text!r} names no branch", hint=f"write {pipeline}@main, or {pipeline}@{LATEST}")
    query = {"pipeline": pipeline or None, "branch": None if branch == LATEST else branch}
    for limit in (1, _REBUILDS):  # the newest one is an ordinary job nearly always
        for found in client.listed("/api/v1/jobs", "jobs", query, limit=limit):
            if not found["trigger"]["rebuild_of"]:
                return str(found["id"])
    if pipeline:
        client.get(f"/api/v1/pipelines/{pipeline}")  # an unknown pipeline is the server's own refusal
    raise NotFound("job-unknown", f"there is no job {text}", hint="list jobs with their branches: danube jobs")
