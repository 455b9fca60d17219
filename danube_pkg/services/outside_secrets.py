"""Reads secrets from places outside of Danube for jobs, and keeps what was read for masking.

A value is kept encrypted, as a replaced one is: logs and ledgers mask it until every job that was created before has
ended, also after a restart of the server. Nothing reads it from there.
"""

from collections.abc import Awaitable, Callable, Sequence

from danube_pkg.core.jobs.job import Job
from danube_pkg.core.secrets.outside import OutsideSecrets
from danube_pkg.core.secrets.ports import SecretCipher, SecretStore
from danube_pkg.core.secrets.secret import SecretName, StoredSecret, check_value
from danube_pkg.kit.clock import Clock

TokenOf = Callable[[Job, str], Awaitable[str]]
"""An identity token of a job for an audience. Raises Permanent."""


class OutsidePlaces:
    """Places outside of Danube, which are asked in their order; none in a server that has no such place."""

    def __init__(
        self,
        places: Sequence[OutsideSecrets],
        store: SecretStore,
        cipher: SecretCipher,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._places = places
        self._store = store
        self._cipher = cipher
        self._clock = clock
        self._new_id = new_id

    async def read_for_job(self, job: Job, name: SecretName, token_of: TokenOf) -> bytes | None:
        """The value of the first place that has one, which is masked from then on. token_of: for places that decide by
        the job's identity. Raises Unavailable, Permanent, and Invalid or TooLarge for a value that could not be
        masked."""
        for place in self._places:
            token = await token_of(job, place.audience) if place.audience else ""
            value = await place.read(name, token)
            if value is not None:
                await self._keep(name, check_value(value), job.created_at)
                return value
        return None

    async def read_for_server(self, name: SecretName) -> bytes | None:
        """As for a job, from places that need no identity of one."""
        for place in self._places:
            if not place.audience and (value := await place.read(name, "")) is not None:
                return check_value(value)
        return None

    async def _keep(self, name: SecretName, value: bytes, since: float) -> None:
        """Keep the value for masking, unless it is kept for as long as jobs from `since` run."""
        for one in await self._store.retired_values(name, since):
            if self._cipher.decrypt_secret(one) == value:
                return
        secret_id, now = self._new_id(), self._clock.now()
        encrypted = self._cipher.encrypt_secret(secret_id, name, value)
        await self._store.add_retired(StoredSecret(secret_id, name, encrypted, now, now, now))
