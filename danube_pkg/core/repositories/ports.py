"""Ports of repositories: reading them, the credentials for that, the APIs of forges, and commit statuses."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from danube_pkg.core.repositories.forges import ApiRequest, CommitStatus
from danube_pkg.core.repositories.revisions import Credential, History, Revision, SourceFile, SubmoduleCommit


class SourceTree(Protocol):
    """One commit of a repository, or a working tree, as a tar stream; a commit's has a shallow `.git`."""

    @property
    def commit_sha(self) -> str: ...

    @property
    def rule(self) -> str:
        """The rule of `git_authentication` that was used; "" for a local directory."""
        ...

    @property
    def commit_message(self) -> str:
        """The first line of the commit message, bounded; "" where only resolving the ref returned it."""
        ...

    @property
    def commit_author(self) -> str:
        """The author's name, bounded; "" where only resolving the ref returned it."""
        ...

    @property
    def submodules(self) -> Sequence[SubmoduleCommit]:
        """Those that are in the tree, at any depth."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """Sentences for the job's page; complete when the stream has ended."""
        ...

    def stream(self) -> AsyncGenerator[bytes, None]:
        """An uncompressed tar, in chunks of at most 256 KiB."""
        ...

    async def close(self) -> None:
        """Release what is held for the first stream; to be called where there is none."""
        ...


class GitCredentials(Protocol):
    """The credentials of repositories."""

    async def credential_for(self, repository: str) -> Credential:
        """The current credential of a repository. Raises Permanent for a secret that is not set, Unavailable for a
        forge that does not answer."""
        ...


class ForgeApi(Protocol):
    """Requests to the APIs of forges."""

    async def post(self, request: ApiRequest) -> Mapping[str, Any]:
        """Send a request; returns the JSON object of the response. Raises Permanent for a refusal, Unavailable where a
        retry may help. No error quotes a token."""
        ...

    async def call(self, request: ApiRequest) -> object:
        """The same with the whole JSON document of the response; None for one without JSON."""
        ...

    def app_jwt(self, app_id: str, private_key: bytes, now: float) -> str:
        """The token by which a GitHub App authenticates, valid for minutes. Raises Invalid for a key that is not
        RSA."""
        ...


class Members(Protocol):
    """Whether users may write to repositories, as their forges say now."""

    async def why_not_member(self, repository: str, login: str, user_id: int) -> str:
        """Why the forge does not say that a user may write to a repository, in words that follow "since"; "" where it
        does. login, user_id: the user's name and number, "" and 0 where they are not known."""
        ...


class CommitStatuses(Protocol):
    """Commit statuses on forges."""

    async def publish(self, repository: str, commit_sha: str, status: CommitStatus) -> None:
        """Set a commit's status. Raises NotFound for a repository without a known forge, else as `ForgeApi.post`."""
        ...


class SourceFiles(Protocol):
    """Single files of a commit, read without its whole tree."""

    async def read_files(self, repository: str, commit_sha: str, names: Sequence[str]) -> Sequence[SourceFile]:
        """The named files that exist in the commit; `directory/*.yaml` names all such files of one directory."""
        ...


class SubmoduleGuard(Protocol):
    """Decides which submodules of a job's source are fetched, and with which rights."""

    def lends(self, url: str) -> bool:
        """Whether the server's credential for that repository may be used."""
        ...

    async def allowed_addresses(self, host: str, port: int, *, configured: bool) -> Sequence[str] | None:
        """The addresses at which that host may be contacted, () for whatever it has; None where it may not. It is
        recorded. configured: the repository is on it, or the pipeline names the submodule."""
        ...


class FoundCommit(Protocol):
    """What a ref names, with what has found it, which opens the commit's tree sooner than `Sources.open` would."""

    @property
    def revision(self) -> Revision: ...

    async def open(self, submodules: SubmoduleGuard | None = None, history: History | None = None) -> SourceTree:
        """As `Sources.open`; to be called once."""
        ...

    async def close(self) -> None:
        """Release what is held; to be called where the tree is not opened."""
        ...


class Sources(Protocol):
    """Reads repositories, whose credentials stay inside."""

    async def resolve(self, repository: str, ref: str) -> Revision:
        """The current revision of a ref: a branch, tag or hash, "" for the default branch. Raises Permanent
        `source-unavailable`."""
        ...

    async def find(self, repository: str, ref: str) -> FoundCommit:
        """The same for a tree that is opened at once or soon: what has found the commit waits meanwhile."""
        ...

    async def open(
        self,
        repository: str,
        commit_sha: str,
        tag: str = "",
        submodules: SubmoduleGuard | None = None,
        history: History | None = None,
    ) -> SourceTree:
        """A commit's tree. tag: the name of the tag that led to it, which the tree's `.git` then has too. submodules:
        None where all are fetched, each with the credential for its URL. history: None for the commit alone.

        Raises Permanent `source-unavailable`, Unavailable.
        """
        ...
