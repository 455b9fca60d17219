"""What started a job; stored with it."""

from collections.abc import Mapping
from typing import Any

from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import Record, field


class Trigger(Record):
    """What started a job. type: manual, webhook, cron or pipeline. actor: the user or process, for the audit log.

    revision: the code that runs. rerun_of: the id of the job that it repeats. origin: the inbox entry that it was
    created from, "" for none; a pipeline has at most one job of each. approved_by: the user who approved this commit
    for this pipeline and target branch, "" for none.
    """

    type: str
    actor: str
    revision: Revision = Revision()
    params: Mapping[str, str] = field(default_factory=dict)
    pull_request: Mapping[str, Any] | None = None
    rerun_of: str = ""
    origin: str = ""
    approved_by: str = ""

    @property
    def is_untrusted(self) -> bool:
        """Whether the code is of authors who may not push to the repository: it gets no secrets and needs an approval.
        The code of a pull request is untrusted unless Git has confirmed that it is a branch of the repository.
        """
        return self.pull_request is not None and self.pull_request.get("trusted") is not True

    @property
    def target_branch(self) -> str:
        """The branch that a pull request would be merged into; "" for any other trigger."""
        return str((self.pull_request or {}).get("target_branch") or "")
