"""Issues identity tokens of jobs, and publishes the key that verifies them."""

from collections.abc import Callable, Mapping
from typing import Any

from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.jobs.id_tokens import (
    check_audience,
    check_issuer,
    check_no_rebuild,
    check_trusted,
    claims_of,
    discovery_document,
)
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.ports import IdentityKeys
from danube_pkg.kit.clock import Clock


class IdTokens:
    """external_url: the server's own URL, which is the issuer; "" where it is not configured."""

    def __init__(self, keys: IdentityKeys, clock: Clock, new_id: Callable[[], str], external_url: str) -> None:
        self._keys = keys
        self._clock = clock
        self._new_id = new_id
        self._external_url = external_url

    async def issue(self, job: Job, audience: str) -> str:
        """A token of the job for that audience. Raises Invalid, and Permanent for a job or a server that has none."""
        check_no_rebuild(job)
        return await self.issue_to_server(job, audience)

    async def issue_to_server(self, job: Job, audience: str) -> str:
        """A token by which the server itself reads something for the job, which never gets it. Raises as `issue`."""
        check_audience(audience)
        check_trusted(job)
        issuer = check_issuer(self._external_url)
        return await self._keys.sign_token(claims_of(job, issuer, audience, self._new_id(), self._clock.now()))

    def discovery(self) -> Mapping[str, Any]:
        """The document by which receivers find the keys. Raises NotFound for a server without an issuer."""
        return discovery_document(self._issuer())

    async def key_set(self) -> Mapping[str, Any]:
        """The public keys as a JWK set. Raises NotFound for a server without an issuer."""
        self._issuer()
        return await self._keys.key_set()

    def _issuer(self) -> str:
        try:
            return check_issuer(self._external_url)
        except Permanent as error:
            raise NotFound(error.reference, error.what, cause=error.cause, hint=error.hint) from error
