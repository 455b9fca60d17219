"""A runtime that is never asked for a pod, egress proxies that serve none, and sources that know one commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from danube_pkg.core.errors import Defect, Permanent
from danube_pkg.core.repositories.ports import Source
from danube_pkg.core.repositories.revisions import Revision, SourceFile
from danube_pkg.core.runtimes.pods import (
    Container,
    PodEvent,
    PodSockets,
    PodSpec,
    PodState,
)
from danube_pkg.core.runtimes.ports import ExecStream


class IdleRuntime:
    """`core.runtimes.ports.Runtime` for jobs that stay in the queue."""

    name = "idle"

    async def create_pod(self, spec: PodSpec) -> Container:
        raise Defect("idle", "nothing is admitted here")

    async def ensure_container(self, job_id: str, image: str) -> Container:
        raise Defect("idle", "nothing is admitted here")

    async def exec(self, container: Container, argv: Sequence[str]) -> ExecStream:
        raise Defect("idle", "nothing is admitted here")

    async def memory_kills(self, container: Container) -> int:
        return 0

    async def delete_pod(self, job_id: str) -> None:
        return None

    async def list_pods(self) -> Sequence[PodState]:
        return ()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[PodEvent]]:
        yield self._events()

    async def _events(self) -> AsyncIterator[PodEvent]:
        await asyncio.Event().wait()
        if False:
            yield

    async def close(self) -> None:
        return None


class NoProxies:
    """`core.egress.ports.EgressProxies` without a pod."""

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        raise Defect("idle", "nothing is admitted here")

    async def served(self) -> frozenset[str]:
        return frozenset()

    async def wait_lost(self) -> None:
        await asyncio.Event().wait()

    async def mask(self, job_id: str) -> None:
        return None

    async def settle(self, job_id: str, step: int) -> None:
        return None

    async def close(self) -> None:
        return None


class OneCommit:
    """`core.repositories.ports.Sources` and `SourceFiles`: whatever is asked for, it is this commit, with a danubefile."""

    def __init__(self, commit_sha: str) -> None:
        self._commit_sha = commit_sha

    async def resolve(self, repository: str, ref: str) -> Revision:
        if ref == "gone":
            raise Permanent("source-unavailable", "there is no ref 'gone'", hint="look with: git ls-remote")
        return Revision(ref=ref, branch=ref or "main", tag="", commit_sha=self._commit_sha)

    async def open(self, repository: str, commit_sha: str) -> Source:
        raise Defect("idle", "nothing is admitted here")

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        text = b'from danube import pipeline\n\n\n@pipeline(name="One")\ndef one() -> None: ...\n'
        return [SourceFile(name, text, len(text)) for name in names]
