"""What started a job; stored with it."""

from collections.abc import Mapping
from typing import Any

from danube_pkg.kit.records import Record, field, replace


class Trigger(Record):
    """What started a job. `type` is manual, webhook, cron or pipeline; `actor` who, for the audit.

    origin: the entry of the inbox that it was made of, "" for none; a pipeline has at most one job of each.
    commit_message, commit_author: what the commit says of itself, bounded; "" until it is known. Strangers wrote it.
    """

    type: str
    actor: str
    ref: str = ""
    branch: str = ""
    tag: str = ""
    commit_sha: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    pull_request: Mapping[str, Any] | None = None
    rerun_of: str = ""
    origin: str = ""
    commit_message: str = ""
    commit_author: str = ""

    def described(self, commit_message: str, commit_author: str) -> "Trigger":
        """With what the commit says of itself, where it has not been known; itself where it has, or nothing is said."""
        if self.commit_message or not (commit_message or commit_author):
            return self
        return replace(self, commit_message=commit_message, commit_author=commit_author)

    @property
    def is_untrusted(self) -> bool:
        """Whether the code is of people who may not write to the repository: it gets no secrets, and keeps nothing."""
        return bool((self.pull_request or {}).get("fork"))
