"""The SQL of job lists: any combination of filters over a million jobs, without a scan or a sort of more than a page.

A filter becomes a set of keys, each a prefix of an index that ends with the job's id. At most as many keys as a page
has rows can contribute to it: those with the newest jobs. So one seek for each key, then one page for each of those
keys, merged.
"""

import json

from danube_pkg.core.jobs.filters import JobFilter
from danube_pkg.core.reasons import Status

LATEST = "~"
"""Sorts after every id, which consists of digits and lower-case letters."""

NEWEST_OF_EACH = """
SELECT jobs.pipeline, jobs.id, jobs.status, jobs.branch, jobs.created_at, jobs.started_at, jobs.finished_at
FROM json_each(?1) AS names CROSS JOIN jobs ON jobs.id IN (
    SELECT id FROM jobs WHERE pipeline = names.value ORDER BY id DESC LIMIT ?2)
ORDER BY jobs.id DESC
"""


def job_list_query(wanted: JobFilter) -> tuple[str, tuple[object, ...]]:
    """A statement and the values of its parameters."""
    before, limit = wanted.before or LATEST, wanted.limit
    if wanted.branch is not None:
        statuses = [wanted.status] if wanted.status else list(Status)
        key = "pipeline = names.value AND branch = ?3 AND status = states.value"
        keys = f"{_pipelines(wanted)} AS names CROSS JOIN json_each(?5) AS states"
        values = (before, limit, wanted.branch, _names(wanted), json.dumps(statuses))
        return _merged(keys, key), values
    if wanted.pipelines is not None:
        key = "pipeline = names.value" + (" AND status = ?3" if wanted.status else "")
        return _merged("json_each(?4) AS names", key), (before, limit, wanted.status, _names(wanted))
    condition = "status = ?3 AND id < ?1" if wanted.status else "id < ?1 AND ?3 IS NULL"
    return f"SELECT * FROM jobs WHERE {condition} ORDER BY id DESC LIMIT ?2", (before, limit, wanted.status)


def _names(wanted: JobFilter) -> str | None:
    return None if wanted.pipelines is None else json.dumps(sorted(wanted.pipelines))


def _pipelines(wanted: JobFilter) -> str:
    """Without a filter every pipeline is a key: there are thousands at most."""
    if wanted.pipelines is None:
        return "(SELECT name AS value FROM pipelines WHERE ?4 IS NULL)"
    return "json_each(?4)"


def _merged(keys: str, key: str) -> str:
    state = ", states.value AS state" if "states" in keys else ""
    inner = key.replace("names.value", "best.name").replace("states.value", "best.state")
    return f"""
        WITH newest AS (
            SELECT names.value AS name{state}, (SELECT max(id) FROM jobs WHERE {key} AND id < ?1) AS id FROM {keys}
        ), best AS MATERIALIZED (SELECT * FROM newest WHERE id IS NOT NULL ORDER BY id DESC LIMIT ?2)
        SELECT jobs.* FROM best CROSS JOIN jobs ON jobs.id IN (
            SELECT id FROM jobs WHERE {inner} AND id < ?1 ORDER BY id DESC LIMIT ?2)
        ORDER BY jobs.id DESC LIMIT ?2
    """
