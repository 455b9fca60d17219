"""The protocols of where code and configuration come from, and of the forges that hold them; `core/store.py` has the others."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from danube_pkg.core.repositories.forges import ApiRequest, CommitStatus
from danube_pkg.core.repositories.revisions import Credential, Revision, SourceFile


class SourceTree(Protocol):
    """One commit (or working tree) of an application repository, as a tar stream with a shallow `.git` where there is one."""

    @property
    def commit_sha(self) -> str: ...

    @property
    def rule(self) -> str:
        """The rule by which it was read, "" for what needs none."""
        ...

    @property
    def commit_message(self) -> str:
        """Its first line, bounded; "" where opening did not tell, which then resolving did."""
        ...

    @property
    def commit_author(self) -> str:
        """Whose it is, bounded; "" likewise."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """Sentences for the job's page; whole when the stream has ended."""
        ...

    def stream(self) -> AsyncGenerator[bytes, None]:
        """An uncompressed tar, in chunks of at most 256 KiB."""
        ...


class GitCredentials(Protocol):
    """Who may read a repository."""

    async def credential_for(self, repository: str) -> Credential:
        """What reads that repository now; raises Permanent for a secret that is not set, Unavailable for a forge that is away."""
        ...


class ForgeApi(Protocol):
    """Requests to forges' APIs."""

    async def post(self, request: ApiRequest) -> Mapping[str, Any]:
        """The answer's object. Raises Permanent for a refusal, Unavailable where trying again may help; neither quotes a token."""
        ...

    def app_jwt(self, app_id: str, private_key: bytes, now: float) -> str:
        """The token with which a GitHub App names itself, good for minutes; raises Invalid for what is no RSA key."""
        ...


class CommitStatuses(Protocol):
    """Statuses of commits on their forge."""

    async def publish(self, repository: str, commit_sha: str, status: CommitStatus) -> None:
        """Set it. Raises NotFound where no forge is known for that repository, else as `ForgeApi.post`."""
        ...


class SourceFiles(Protocol):
    """Single files of a commit, without its whole tree."""

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        """Those of these names that are there; `directory/*.yaml` names all such files of one directory."""
        ...


class Sources(Protocol):
    """Where code comes from. Credentials stay here."""

    async def resolve(self, repository: str, ref: str) -> Revision:
        """What the ref (branch, tag, hash; "" for the default branch) names now; raises Permanent `source-unavailable`."""
        ...

    async def open(self, repository: str, commit_sha: str) -> SourceTree: ...
