"""Whether the code of a pull or merge request is trusted: only if it is a branch of the repository itself.

Who may push to the repository may change what its pipelines do, and no other user may use its secrets. The payload
proves nothing, and whatever is not confirmed waits for an approval: a fork, a request without a branch (AGit), a branch
that was deleted before the server knew it, a repository that cannot be read for good.
"""

from danube_pkg.core.errors import Permanent
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.core.triggers.ports import InboxStore
from danube_pkg.core.triggers.webhooks.events import PullRequest

FROM_ELSEWHERE = "its forge does not report it as a branch of this repository"
"""A fork, also one that was deleted or is hidden, or a request that was pushed without a branch (AGit)."""


class ProposalTrust:
    """Compares the head of a request with the branches that the repository has under `refs/heads/`."""

    def __init__(self, sources: Sources, store: InboxStore) -> None:
        self._sources = sources
        self._store = store

    async def why_untrusted(self, event: PullRequest, repository: str) -> str:
        """Why the code is untrusted, in words that follow "because"; "" where Git has confirmed that the commit is the
        head of that branch, or was when the server last read it. repository: its URL in the pipeline.

        Raises Unavailable where the repository cannot be read now.
        """
        branch = event.source_branch
        if event.fork or branch.startswith("refs/"):
            return FROM_ELSEWHERE
        name = canonical(repository).lower()
        last = await self._store.branch_head(name, branch)
        head = await self._head(repository, branch)
        if head and head != last:
            await self._store.set_branch_head(name, branch, head)
        if event.commit_sha in (head, last):
            return ""
        return f"it is not the head of refs/heads/{branch} of this repository"

    async def _head(self, repository: str, branch: str) -> str:
        """The present head of a branch; "" where there is none of exactly that name."""
        try:
            found = await self._sources.resolve(repository, f"refs/heads/{branch}")
        except Permanent:
            return ""
        return found.commit_sha if found.branch == branch else ""
