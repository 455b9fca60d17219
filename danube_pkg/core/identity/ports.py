"""The ports of the API's own concerns: who somebody is, what they may, what they did. Beside those of jobs in `core.store`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.identity.access import Level, Target, TeamRole
from danube_pkg.core.identity.audit import AuditEntry, AuditEvent
from danube_pkg.core.identity.idempotency import Reservation
from danube_pkg.core.identity.oidc import ClientSettings, IdentityDocument, TokenAnswer
from danube_pkg.core.identity.people import BrowserSession, Person, Token


class AccessStore(Protocol):
    """Who may what, as the applied configuration says. Reads are small and immediate."""

    def version(self) -> int:
        """Another number whenever anything that is stored has changed."""
        ...

    async def person_by_id(self, user_id: str) -> Person | None: ...

    async def person_by_email(self, email: str) -> Person | None:
        """Nobody for one that left the configuration; letters' case does not count."""
        ...

    async def person_by_subject(self, subject: str) -> Person | None: ...
    async def list_people(self) -> Sequence[Person]: ...

    async def bind_subject(self, user_id: str, subject: str) -> None:
        """The issuer's name of a person, once. Raises Conflict when another is bound."""
        ...

    async def memberships(self, user_id: str) -> Mapping[str, tuple[TeamRole, bool]]:
        """Team → (role in it, whether the team is one of global administrators)."""
        ...

    async def teams(self) -> Mapping[str, tuple[bool, Mapping[str, TeamRole]]]:
        """Team → (global_admin, address → role)."""
        ...

    async def groups_of_teams(self) -> Mapping[str, tuple[str, ...]]:
        """Team → groups of the issuer whose people belong to it as well; teams without any are left out."""
        ...

    async def target(self, pipeline: str) -> Target:
        """A pipeline with its owner and levels; without any where it is not known."""
        ...

    async def readable_pipelines(self, teams: Sequence[str]) -> frozenset[str]:
        """Pipelines on which one of the teams has any level, also those that left the configuration."""
        ...

    async def levels_of(self, teams: Sequence[str]) -> Sequence[tuple[str, Level]]:
        """Which levels each of the teams has on any pipeline at all; that of an owner is admin."""
        ...


class SessionStore(Protocol):
    """Sessions by the hash of their secret."""

    async def add_session(self, session: BrowserSession, hash_: bytes) -> None:
        """Beyond `MAX_SESSIONS` of one person the oldest end."""
        ...

    async def session_by_hash(self, hash_: bytes) -> BrowserSession | None: ...
    async def list_sessions(self, user_id: str) -> Sequence[BrowserSession]: ...
    async def touch_session(self, session_id: str, at: float) -> None: ...
    async def delete_session(self, user_id: str, session_id: str) -> bool: ...


class TokenStore(Protocol):
    """API tokens by the hash of their secret."""

    async def add_token(self, token: Token, hash_: bytes) -> None:
        """Raises Conflict beyond `MAX_TOKENS` of one person."""
        ...

    async def token_by_hash(self, hash_: bytes) -> Token | None: ...
    async def list_tokens(self, user_id: str) -> Sequence[Token]: ...
    async def touch_token(self, token_id: str, at: float, address: str) -> None: ...
    async def delete_token(self, user_id: str, token_id: str) -> bool: ...


class AuditStore(Protocol):
    """The audit, which only grows."""

    async def append(self, event: AuditEvent) -> None:
        """On disk, chained to the entry before, when this returns."""
        ...

    async def list_entries(
        self, *, actor: str = "", action: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[AuditEntry]:
        """Newest first."""
        ...

    async def entries_after(self, sequence: int, limit: int) -> Sequence[AuditEntry]: ...

    async def last_sequence(self) -> int:
        """The highest number ever given out."""
        ...


class IdempotencyStore(Protocol):
    """Keys of POST requests and what was answered to them."""

    async def reserve(self, wanted: Reservation) -> Reservation:
        """What stands under the actor's key: the wanted one if there was none. Old ones are forgotten on the way."""
        ...

    async def keep_answer(self, reservation: Reservation, status: int, body: bytes) -> None: ...

    async def release(self, reservation: Reservation) -> None:
        """Nothing was done: the key may be used again."""
        ...


class PasswordCheck(Protocol):
    """bcrypt, away from the event loop."""

    async def matches(self, password: str, hash_: str) -> bool:
        """Takes the same time for an empty hash, which nothing matches. Raises Unavailable when too many wait."""
        ...


class IdentityProvider(Protocol):
    """An OpenID Connect issuer, over HTTP. Raises Unavailable when it does not answer, IssuerUnusable when it answers wrongly."""

    async def discover(self, issuer: str) -> IdentityDocument: ...

    async def exchange(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> TokenAnswer:
        """One call of the token endpoint."""
        ...

    async def start_device(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> Mapping[str, object]: ...

    async def claims(
        self, client: ClientSettings, document: IdentityDocument, id_token: str, *, fresh_keys: bool = False
    ) -> Mapping[str, object]:
        """The claims of a token whose signature is good, by a pinned algorithm; nothing else of them is checked."""
        ...


class UpstreamHttp(Protocol):
    """A program of our own behind a path of ours (Dex): requests go through as they are."""

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        """Status, headers, body. Raises Unavailable when it does not answer."""
        ...


class DexRunner(Protocol):
    """Who runs Dex: a child program of the server; where there is a cluster, it may be a pod."""

    async def apply(self, configuration: str) -> None:
        """From now on Dex runs with this file; it is begun again where it ran with another text. Dex answers some time after
        this has returned."""
        ...

    def trouble(self) -> str:
        """What it said last before it ended, whether it runs again or not; "" while it has not ended."""
        ...
