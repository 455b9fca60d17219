"""Ports of identity: users and access, sessions, tokens, the audit log, idempotency keys, passwords, issuers and
Dex."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.identity.access import Level, Target, TeamRole
from danube_pkg.core.identity.audit import AuditEntry, AuditEvent
from danube_pkg.core.identity.idempotency import Reservation
from danube_pkg.core.identity.oidc import ClientSettings, IdentityDocument, TokenAnswer
from danube_pkg.core.identity.people import BrowserSession, Person, Token


class AccessStore(Protocol):
    """Users, teams and levels of the applied configuration. Reads are small and do not wait."""

    def version(self) -> int:
        """A number that changes whenever any stored row has changed; callers cache by it."""
        ...

    async def person_by_id(self, user_id: str) -> Person | None: ...

    async def person_by_email(self, email: str) -> Person | None:
        """The user with that address, in any case; None for one that left the configuration."""
        ...

    async def person_by_identity(self, issuer: str, subject: str) -> Person | None:
        """The user to whom that account of that issuer is bound."""
        ...

    async def list_people(self) -> Sequence[Person]: ...

    async def bind_identity(self, user_id: str, issuer: str, subject: str, at: float) -> None:
        """Bind an account to a user at the first login at its issuer; an account of another issuer is bound no longer.
        Raises Conflict when another account of this issuer is bound."""
        ...

    async def unbind_identity(self, user_id: str) -> bool:
        """Whether an account was bound; the next login binds anew."""
        ...

    async def memberships(self, user_id: str) -> Mapping[str, tuple[TeamRole, bool]]:
        """Team → (the user's role in it, whether it is a team of global administrators)."""
        ...

    async def teams(self) -> Mapping[str, tuple[bool, Mapping[str, TeamRole]]]:
        """Team → (global_admin, address → role)."""
        ...

    async def groups_of_teams(self) -> Mapping[str, tuple[str, ...]]:
        """Team → groups of the issuer whose members belong to it too; teams without such groups are left out."""
        ...

    async def target(self, pipeline: str) -> Target:
        """A pipeline with its owner and levels; without them where there is no such pipeline."""
        ...

    async def readable_pipelines(self, teams: Sequence[str]) -> frozenset[str]:
        """Pipelines on which one of the teams has any level, including those that left the configuration."""
        ...

    async def levels_of(self, teams: Sequence[str]) -> Sequence[tuple[str, Level]]:
        """(team, level) pairs: the levels that each of the teams has on any pipeline; an owner's is admin."""
        ...


class SessionStore(Protocol):
    """Sessions by the hash of their secret."""

    async def add_session(self, session: BrowserSession, hash_: bytes) -> None:
        """Store a session; beyond `MAX_SESSIONS` of one user the oldest ones end."""
        ...

    async def session_by_hash(self, hash_: bytes) -> BrowserSession | None: ...
    async def list_sessions(self, user_id: str) -> Sequence[BrowserSession]: ...
    async def touch_session(self, session_id: str, at: float) -> None: ...
    async def delete_session(self, user_id: str, session_id: str) -> bool: ...

    async def delete_sessions(self, user_id: str) -> int:
        """How many a user had."""
        ...


class TokenStore(Protocol):
    """API tokens by the hash of their secret."""

    async def add_token(self, token: Token, hash_: bytes) -> None:
        """Store a token. Raises Conflict beyond `MAX_TOKENS` of one user."""
        ...

    async def token_by_hash(self, hash_: bytes) -> Token | None: ...
    async def list_tokens(self, user_id: str) -> Sequence[Token]: ...
    async def touch_token(self, token_id: str, at: float, address: str) -> None: ...
    async def delete_token(self, user_id: str, token_id: str) -> bool: ...

    async def delete_tokens(self, user_id: str) -> int:
        """How many a user had."""
        ...


class AuditStore(Protocol):
    """The audit log, to which entries are only added."""

    async def append(self, event: AuditEvent) -> None:
        """Add an entry; it is on disk and chained to the previous one when this returns."""
        ...

    async def list_entries(
        self, *, actor: str = "", action: str = "", before: int | None = None, limit: int = 50
    ) -> Sequence[AuditEntry]:
        """Newest first."""
        ...

    async def entries_after(self, sequence: int, limit: int) -> Sequence[AuditEntry]: ...

    async def last_sequence(self) -> int:
        """The highest sequence number that was ever assigned."""
        ...


class IdempotencyStore(Protocol):
    """Idempotency keys of POST requests with their responses."""

    async def reserve(self, wanted: Reservation) -> Reservation:
        """The reservation of the actor's key: the given one if there was none. Expired ones are deleted."""
        ...

    async def keep_answer(self, reservation: Reservation, status: int, body: bytes) -> None: ...

    async def release(self, reservation: Reservation) -> None:
        """Delete a reservation whose request had no effect, so that the key may be used again."""
        ...


class PasswordCheck(Protocol):
    """Verification of bcrypt hashes, outside the event loop."""

    async def matches(self, password: str, hash_: str) -> bool:
        """Whether the password matches. An empty hash takes the same time and never matches, so that the time does not
        reveal whether a user exists. Raises Unavailable when too many checks are waiting."""
        ...


class IdentityProvider(Protocol):
    """An OpenID Connect issuer, over HTTP. Raises Unavailable without a response, IssuerUnusable for an invalid one."""

    async def discover(self, issuer: str) -> IdentityDocument: ...

    async def exchange(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> TokenAnswer:
        """One request to the token endpoint."""
        ...

    async def start_device(
        self, client: ClientSettings, document: IdentityDocument, form: Mapping[str, str]
    ) -> Mapping[str, object]: ...

    async def claims(
        self, client: ClientSettings, document: IdentityDocument, id_token: str, *, fresh_keys: bool = False
    ) -> Mapping[str, object]:
        """The claims of a token after its signature was verified with one of ALGORITHMS; the claims are not checked.
        fresh_keys: fetch the issuer's keys again. Raises LoginRefused for a wrong signature."""
        ...


class UpstreamHttp(Protocol):
    """A reverse proxy to a program that the server runs below one of its paths (Dex)."""

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        """Forward a request unchanged; returns status, headers and body. Raises Unavailable without a response."""
        ...


class DexRunner(Protocol):
    """Runs Dex: as a child process of the server; in a cluster it may be a pod."""

    async def apply(self, configuration: str) -> None:
        """Run Dex with this configuration file; restarts it where it ran with another text. Dex answers requests some
        time after this has returned."""
        ...

    def restart(self) -> None:
        """End the process and start it again, with the same configuration."""
        ...

    def last_failure(self) -> str:
        """The last output of the process before it ended by itself, even if it is running again; "" if it never
        ended."""
        ...
