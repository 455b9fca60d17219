"""What started a job, as it is kept with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trigger:
    """What started a job. `type` is manual, webhook, cron (or pipeline, later); `actor` who, for the audit."""

    type: str
    actor: str
    ref: str = ""
    branch: str = ""
    tag: str = ""
    commit_sha: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    pull_request: Mapping[str, Any] | None = None
    rerun_of: str = ""
