"""The protocols around Git: the configuration in a repository, credentials, forges, single files of a commit.

As in `core.ports`, each docstring states order, idempotency and errors.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from danube_pkg.core.configuration.changes import Change
from danube_pkg.core.configuration.documents import ConfigurationFiles
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.forges import ApiRequest, CommitStatus
from danube_pkg.core.sources import Credential, SourceFile


class ConfigurationSource(Protocol):
    """Where the configuration is written."""

    async def read(self, unless: str = "") -> ConfigurationFiles | None:
        """All of it as it is now, or None while its revision is `unless`; what cannot be parsed is in its findings.

        Raises Permanent, Unavailable when it cannot be reached.
        """
        ...

    def parse(self, files: Mapping[str, bytes]) -> ConfigurationFiles:
        """The same from files that somebody sent, as if they stood where the configuration is. Blocks: many take seconds."""
        ...


class ConfigurationStore(Protocol):
    """The state that was applied last, whole: a server knows it again while its repository is away."""

    async def load_state(self) -> tuple[State, Applied]: ...

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        """In one transaction. Ids are stable for life; what leaves is marked, not deleted. `state` is what they lead to."""
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
