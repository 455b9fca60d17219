"""Ports of secrets: the store of encrypted values, the cipher, and the values that logs must mask."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.secrets.secret import SecretName, SecretRead, SecretUse, StoredSecret


class SecretStore(Protocol):
    """Encrypted values by name; the store never gets a clear value. pipeline: a name, of a pipeline that may not exist
    yet."""

    async def put_secret(self, secret: StoredSecret) -> None:
        """Store or replace a value. The old one is retired at the new one's `created_at` and kept, since masking needs
        it."""
        ...

    async def load_secret(self, name: SecretName) -> StoredSecret | None: ...
    async def list_secrets(self, pipeline: str | None) -> Sequence[StoredSecret]: ...

    async def delete_secret(self, name: SecretName, at: float) -> bool:
        """Retire the value at that time (Unix seconds); returns whether there was one."""
        ...

    async def maskable_secrets(self, pipeline: str) -> Sequence[StoredSecret]:
        """Every value that a job of that pipeline could have read: current and retired, its own and global."""
        ...

    async def add_retired(self, secret: StoredSecret) -> None:
        """Keep a value for masking only; it has `retired_at`. Idempotent by its id."""
        ...

    async def retired_values(self, name: SecretName, since: float) -> Sequence[StoredSecret]:
        """The values of one name that are kept for masking and were retired then or later (Unix seconds)."""
        ...

    async def every_secret(self) -> Sequence[StoredSecret]:
        """All values, current and retired, of all pipelines."""
        ...

    async def forget_retired_secrets(self, before: float) -> int:
        """Delete values that were retired before then (Unix seconds); returns their number."""
        ...

    async def reads_of(self, job_id: str) -> Sequence[str]:
        """The names of the secrets that a job read, each once, in the order of the first read."""
        ...

    async def last_read(self, name: SecretName) -> SecretRead | None:
        """The newest read of a secret by a job that is still stored."""
        ...

    async def record_read(self, job_id: str, sequence: int, name: SecretName, at: float) -> bool:
        """Record a read. Returns False where the same read was recorded under that sequence number before.

        Raises Conflict for another key under a used number. A number whose key leads to another secret now (the
        pipeline got one of its own) is a read of that one.
        """
        ...


class SecretReads(Protocol):
    """What jobs have read."""

    async def uses_of(self, job_id: str) -> Sequence[SecretUse]:
        """Every read of a job, in the order of its calls."""
        ...


class SecretCipher(Protocol):
    """Encryption of values; a ciphertext is bound to the id and the name of its row."""

    def encrypt_secret(self, secret_id: str, name: SecretName, value: bytes) -> bytes: ...
    def decrypt_secret(self, secret: StoredSecret) -> bytes: ...


class SecretValues(Protocol):
    """The values that the logs of a pipeline's jobs must mask."""

    async def values_to_mask(self, pipeline: str) -> Sequence[bytes]: ...

    async def forget_retired(self, before: float) -> None:
        """Delete values that were retired before then (Unix seconds), since no job is left that was created earlier."""
        ...
