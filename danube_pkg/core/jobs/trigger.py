"""What started a job; stored with it."""

from collections.abc import Mapping
from typing import Any

from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import Record, field


class Trigger(Record):
    """What started a job. type: manual, webhook, cron or pipeline. actor: the user or process, for the audit log.

    revision: the code that runs. rerun_of: the id of the job that it repeats. origin: the inbox entry that it was
    created from, "" for none; a pipeline has at most one job of each.
    """

    type: str
    actor: str
    revision: Revision = Revision()
    params: Mapping[str, str] = field(default_factory=dict)
    pull_request: Mapping[str, Any] | None = None
    rerun_of: str = ""
    origin: str = ""

    @property
    def is_untrusted(self) -> bool:
        """Whether the code is of authors who may not push to the repository: it gets no secrets and needs an
        approval."""
        return bool((self.pull_request or {}).get("fork"))
