"""Login at an OpenID Connect issuer: authorisation code with PKCE for browsers, device code for the command line.

The state of an unfinished login is in the browser's sealed cookie, so that clients cannot fill the server's memory by
starting logins. Device logins are kept on the server; their number is bounded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Protocol

from danube_pkg.core.errors import NotFound, Permanent, PlatformError, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.identity.oidc import (
    Attempt,
    ClientSettings,
    Identity,
    LoginRefused,
    authorization_url,
    challenge,
    check_callback,
    check_claims,
)
from danube_pkg.core.identity.people import Person, new_secret
from danube_pkg.core.identity.ports import AccessStore, IdentityProvider
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import HIDDEN, Record, to_builtins
from danube_pkg.kit.tallies import Tally

MAX_DEVICE_LOGINS = 1000
CHECK_SECONDS = 30.0
"""How long a result of the check of the issuer counts."""

ANSWER_SECONDS = 5.0
"""An issuer that takes longer is one at which users give up."""

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
RANDOM_BYTES = 32

_log = EventLog("danube.login")


class Seal(Protocol):
    """Authenticated encryption with a key of this server: only it can write and read sealed text."""

    def seal(self, text: str) -> str: ...

    def unseal(self, text: str) -> str | None:
        """None for text that this server did not seal."""
        ...


class DeviceCode(Record):
    """A login by device code (RFC 8628), shown by the command line. handle: its name at this server."""

    handle: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    interval_seconds: int
    expires_at: float
    device_code: Annotated[str, HIDDEN]
    verifier: Annotated[str, HIDDEN]


Client = Callable[[], Awaitable[ClientSettings | None]]


class OidcLogin:
    """client: finds the issuer at each login, since the configuration may name another; None where there is none."""

    def __init__(
        self,
        client: Client,
        provider: IdentityProvider,
        store: AccessStore,
        seal: Seal,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        self._client = client
        self._provider = provider
        self._store = store
        self._seal = seal
        self._clock = clock
        self._random = random
        self._devices: dict[str, DeviceCode] = {}
        self.outcomes = Tally()
        """Logins at the issuer, by `success` and `failure`."""
        self._checked_at = float("-inf")
        self._conditions: Sequence[Condition] = ()

    async def client(self) -> ClientSettings:
        """Raises NotFound where no issuer is configured."""
        found = await self._client()
        if found is None:
            raise NotFound(
                "oidc-not-configured",
                "no OpenID Connect issuer is configured",
                hint="log in with a password, or in config.yaml: auth: {oidc: {issuer: …}}",
            )
        return found

    async def is_configured(self) -> bool:
        return await self._client() is not None

    async def conditions(self) -> Sequence[Condition]:
        """Why no user can log in at the issuer; empty where users can, or where there is none. Kept for some seconds,
        since every page asks for it."""
        if self._clock.monotonic() >= self._checked_at + CHECK_SECONDS:
            self._conditions = await self._check()
            self._checked_at = self._clock.monotonic()
        return self._conditions

    async def _check(self) -> Sequence[Condition]:
        try:
            found = await self._client()
            if found is not None:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._provider.discover(found.issuer)
        except PlatformError as error:
            return (Condition("issuer-unusable", f"no user can log in: {error}", error.hint),)
        except TimeoutError:
            what = f"no user can log in: the issuer did not answer within {ANSWER_SECONDS:.0f} s"
            return (Condition("issuer-unusable", what, "check that this server can reach auth.oidc.issuer"),)
        return ()

    # --- browsers

    async def begin(self, redirect_uri: str, return_to: str) -> tuple[str, str]:
        """(the issuer's URL for the browser, the value of the browser's cookie)."""
        client = await self.client()
        document = await self._provider.discover(client.issuer)
        attempt = Attempt(self._text(), self._text(), self._text(), return_to, self._clock.now())
        url = authorization_url(document, client, attempt, redirect_uri)
        return url, self._seal.seal(json.dumps(to_builtins(attempt)))

    async def finish(
        self, cookie: str | None, query: Mapping[str, str], redirect_uri: str
    ) -> tuple[Person, Identity, str]:
        """(the user, their identity at the issuer, the path to return to). Raises LoginRefused; the cause is logged."""
        client = await self.client()
        try:
            attempt = self._attempt(cookie)
            code = check_callback(attempt, query, client.issuer, self._clock.now())
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": attempt.verifier,
            }
            document = await self._provider.discover(client.issuer)
            answer = await self._provider.exchange(client, document, form)
            if answer.error or not answer.id_token:
                raise LoginRefused("oidc-exchange", f"the issuer refused the code: {answer.error or 'no token'}")
            identity = await self._identity(client, answer.id_token, attempt.nonce)
            person = await self._person(identity)
            self.outcomes.count("success")
            return person, identity, attempt.return_to
        except Permanent as error:
            self.outcomes.count("failure")
            _log.warning("login-refused", reference=error.reference, cause=error.cause)
            raise

    def _attempt(self, cookie: str | None) -> Attempt:
        text = self._seal.unseal(cookie) if cookie else None
        if text is None:
            raise LoginRefused("oidc-state", "this browser did not start a login, or its cookie was changed")
        return Attempt(**json.loads(text))

    async def _identity(self, client: ClientSettings, id_token: str, nonce: str | None) -> Identity:
        document = await self._provider.discover(client.issuer)
        claims = await self._provider.claims(client, document, id_token)
        return check_claims(claims, client, nonce, self._clock.now())

    async def _person(self, identity: Identity) -> Person:
        """The user by the account; at the first login at an issuer by the verified address, to which the account is
        then bound."""
        known = await self._store.person_by_identity(identity.issuer, identity.subject)
        if known is not None and not known.removed:
            return known
        person = await self._store.person_by_email(identity.email)
        if person is None:
            raise LoginRefused("oidc-unknown-person", f"{identity.email} is not in users.yaml")
        await self._store.bind_identity(person.id, identity.issuer, identity.subject, self._clock.now())
        return person

    def _text(self) -> str:
        return new_secret("", self._random(RANDOM_BYTES))

    # --- devices

    async def begin_device(self) -> DeviceCode:
        """Start a login by device code. Raises NotFound where the issuer supports none, Unavailable for too many."""
        client = (await self.client()).for_devices()
        document = await self._provider.discover(client.issuer)
        if not document.device_endpoint:
            raise NotFound(
                "device-login-missing",
                "the issuer has no login by device code",
                hint="make a token on the server's page, then: danube login URL --with-token",
            )
        now = self._clock.now()
        self._devices = {handle: one for handle, one in self._devices.items() if one.expires_at > now}
        if len(self._devices) >= MAX_DEVICE_LOGINS:
            raise Unavailable(
                "too-many-device-logins",
                f"{MAX_DEVICE_LOGINS} logins are already waiting",
                hint="try again in a few minutes",
            )
        verifier = self._text()
        form = {
            "scope": " ".join(client.scopes),
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        answer = await self._provider.start_device(client, document, form)
        login = DeviceCode(
            handle=self._text(),
            user_code=str(answer.get("user_code", "")),
            verification_uri=str(answer.get("verification_uri", "")),
            verification_uri_complete=str(answer.get("verification_uri_complete", "")),
            interval_seconds=_bounded(answer.get("interval"), 5, 1, 60),
            expires_at=now + _bounded(answer.get("expires_in"), 300, 10, 1800),
            device_code=str(answer.get("device_code", "")),
            verifier=verifier,
        )
        self._devices[login.handle] = login
        return login

    async def finish_device(self, handle: str) -> tuple[Person, Identity] | None:
        """The user who confirmed the login; None until one has. Raises LoginRefused."""
        login = self._devices.get(handle)
        if login is None or login.expires_at <= self._clock.now():
            raise LoginRefused("device-login-expired", "the code has expired")
        client = (await self.client()).for_devices()
        document = await self._provider.discover(client.issuer)
        form = {"grant_type": DEVICE_GRANT, "device_code": login.device_code, "code_verifier": login.verifier}
        answer = await self._provider.exchange(client, document, form)
        if answer.error in ("authorization_pending", "slow_down"):
            return None
        del self._devices[handle]
        try:
            if answer.error or not answer.id_token:
                raise LoginRefused("oidc-exchange", f"the issuer refused the code: {answer.error or 'no token'}")
            identity = await self._identity(client, answer.id_token, None)
            person = await self._person(identity)
        except Permanent:
            self.outcomes.count("failure")
            raise
        self.outcomes.count("success")
        return person, identity


def _bounded(value: object, default: int, low: int, high: int) -> int:
    return min(high, max(low, value)) if isinstance(value, int) else default
