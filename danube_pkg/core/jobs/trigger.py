"""What started a job; stored with it."""

import re
from collections.abc import Mapping
from typing import Any

from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.records import Record, field, replace

_PROPOSAL_REF = re.compile(r"refs/(?:pull|merge-requests)/([0-9]{1,15})/.+")


class Rebuild(Record):
    """A job that builds again what another one has built, to compare both. job: the other's id. images: by name, the
    digests that its steps ran in. secrets: keys that it may read; it reads no others."""

    job: str
    images: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def pinned(self, image: str) -> str:
        """The image with the digest that the other job ran in."""
        digest = self.images.get(image, "")
        return f"{image}@{digest}" if digest and "@" not in image else image


class Trigger(Record):
    """What started a job. type: manual, webhook, cron or pipeline. actor: the user or process, for the audit log.

    revision: the code that runs. rerun_of: the id of the job that it repeats. origin: the inbox entry that it was
    created from, "" for none; a pipeline has at most one job of each. received_at: when that entry arrived, in Unix
    seconds; None without one. approved_by: the user who approved this commit
    for this pipeline and target branch, "" for none. failed_steps: whether `rerun_of` is repeated for its failed steps,
    so that the others are restored where they can be. rebuild: what it builds again; None for an ordinary job.
    """

    type: str
    actor: str
    revision: Revision = Revision()
    params: Mapping[str, str] = field(default_factory=dict)
    pull_request: Mapping[str, Any] | None = None
    rerun_of: str = ""
    origin: str = ""
    received_at: float | None = None
    approved_by: str = ""
    rebuild: Rebuild | None = None
    upstream_job_id: str = ""
    """The job whose end started this one; "" for any other trigger."""
    failed_steps: bool = False

    @property
    def is_untrusted(self) -> bool:
        """Whether the code is of authors who may not push to the repository: it gets no secrets and needs an approval.
        The code of a pull request is untrusted unless Git has confirmed that it is a branch of the repository.
        """
        return self.pull_request is not None and self.pull_request.get("trusted") is not True

    @property
    def member(self) -> str:
        """The user who pushed untrusted code and may write to the repository, as its forge said when the job was made;
        "" for none. With `trust: members` the job needs no approval."""
        return str((self.pull_request or {}).get("member") or "")

    def without_member(self) -> "Trigger":
        """For another job of the same code: the forge has to be asked again."""
        if not self.member:
            return self
        facts = {name: value for name, value in (self.pull_request or {}).items() if name != "member"}
        return replace(self, pull_request=facts)

    @property
    def target_branch(self) -> str:
        """The branch that a pull request would be merged into; "" for any other trigger."""
        return str((self.pull_request or {}).get("target_branch") or "")


NOT_A_BRANCH = "its ref is neither a branch nor a tag, and users without write access may set it"


def proposal_at(revision: Revision) -> Mapping[str, Any] | None:
    """The pull request of a manual start, where its ref is one that users without write access may set: those of pull
    and merge requests, and whatever else is neither a branch nor a tag. None for a branch, a tag, HEAD and a hash."""
    if revision.branch or revision.tag or not revision.ref.startswith("refs/"):
        return None
    found = _PROPOSAL_REF.fullmatch(revision.ref)
    number = {"number": int(found[1])} if found is not None else {}
    return {**number, "fork": True, "trusted": False, "why_untrusted": NOT_A_BRANCH}
