"""Jobs, steps and the rest as JSON. Times are ISO 8601 in UTC; only public words for states."""

from datetime import UTC, datetime
from typing import Any

from danube_pkg.core.artifacts import Artifact
from danube_pkg.core.jobs import COORDINATOR_SEQUENCE, Job
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.reasons import HINTS
from danube_pkg.core.secrets import StoredSecret
from danube_pkg.core.steps import Step


def iso(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def job_summary(job: Job) -> dict[str, Any]:
    """A job in a list: no steps."""
    trigger = job.trigger
    return {
        "id": job.id,
        "pipeline": job.pipeline,
        "status": job.status,
        "reason": job.reason,
        "message": job.message,
        "hint": HINTS.get(job.reason, "") if job.status.ended else "",
        "trigger": {
            "type": trigger.type,
            "actor": trigger.actor,
            "ref": trigger.ref,
            "branch": trigger.branch,
            "tag": trigger.tag,
            "commit_sha": trigger.commit_sha,
            "params": dict(trigger.params),
        },
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "finished_at": iso(job.finished_at),
    }


def job_detail(job: Job) -> dict[str, Any]:
    """A job with its deadline and its steps; the coordinator's own step is not one of them."""
    steps = [step_view(step) for step in job.steps if step.sequence != COORDINATOR_SEQUENCE]
    return {**job_summary(job), "deadline_at": iso(job.deadline_at), "source_rule": job.source_rule, "steps": steps}


def step_view(step: Step) -> dict[str, Any]:
    """A step; what its end says is null or empty until it has ended."""
    end = step.end
    return {
        "sequence": step.sequence,
        "name": step.name,
        "image": step.image,
        "status": step.status,
        "reason": end.reason if end else "",
        "message": end.message if end else "",
        "exit_code": end.exit_code if end else None,
        "signal": end.signal if end else None,
        "attempt": step.attempt,
        "retries": step.retries,
        "checked": step.check,
        "started_at": iso(step.started_at),
        "finished_at": iso(step.finished_at),
        "duration_seconds": end.wall_us / 1e6 if end else None,
        "cpu_seconds": (end.user_us + end.system_us) / 1e6 if end else None,
        "peak_memory_bytes": end.peak_memory_bytes if end else None,
        "output_bytes": end.output_bytes if end else None,
        "log_begin": step.log_begin,
        "log_end": step.log_end,
    }


def pipeline_view(pipeline: Pipeline) -> dict[str, Any]:
    """A pipeline and what people ask of it."""
    settings = pipeline.settings
    return {
        "name": pipeline.name,
        "team": pipeline.team,
        "repository": settings.repository,
        "script": settings.script,
        "image": settings.image,
        "max_duration_seconds": settings.max_duration_seconds,
        "workspace_size_gb": settings.workspace_size_gb,
    }


def artifact_view(artifact: Artifact) -> dict[str, Any]:
    """An artifact without its bytes."""
    return {
        "name": artifact.name,
        "file_name": artifact.file_name,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "created_at": iso(artifact.created_at),
    }


def secret_view(secret: StoredSecret) -> dict[str, Any]:
    """A secret's name and times; its value has no view."""
    return {
        "key": secret.name.key,
        "pipeline": secret.name.pipeline,
        "created_at": iso(secret.created_at),
        "updated_at": iso(secret.updated_at),
    }
