"""The `Sources` port over one directory with what is not committed: the code of `danube run`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.adapters.git.process import Conversation, Worker
from danube_pkg.adapters.git.worker_source import FoundWithWorker, WorkerSource
from danube_pkg.core.repositories.ports import SubmoduleGuard
from danube_pkg.core.repositories.revisions import History, Revision


class WorkingTree:
    """Implements `Sources` for `danube run`: every repository is this directory as it is now.

    path: the directory; temporary: where the pack of HEAD is written.
    """

    def __init__(self, path: Path, temporary: Path, worker: Worker) -> None:
        self._path = path.absolute()
        self._temporary = temporary
        self._worker = worker

    async def resolve(self, repository: str, ref: str) -> Revision:
        """HEAD's commit and branch, for the job's context; an empty revision outside a repository."""
        return Revision(**await self._worker.ask(self._request("working-revision")))

    async def find(self, repository: str, ref: str) -> FoundWithWorker:
        return FoundWithWorker(await self.resolve(repository, ref), self.open, repository)

    async def open(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
        conversation: Conversation | None = None,
    ) -> WorkerSource:
        return WorkerSource(commit_sha, self._worker, self._request("working-tree"))

    def _request(self, do: str) -> Mapping[str, Any]:
        return {"do": do, "repository": str(self._path), "directory": str(self._temporary)}
