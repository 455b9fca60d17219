"""Ports of secrets: stored values, their cipher, and the values that a log must mask."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.secrets.secret import SecretName, SecretRead, StoredSecret


class SecretStore(Protocol):
    """Encrypted values by name. The store never sees a clear value. `pipeline` is a name, which may not exist yet."""

    async def put_secret(self, secret: StoredSecret) -> None:
        """Write or replace. A replaced value is retired at the new one's `created_at`, not removed: masking still needs it."""
        ...

    async def load_secret(self, name: SecretName) -> StoredSecret | None: ...
    async def list_secrets(self, pipeline: str | None) -> Sequence[StoredSecret]: ...

    async def delete_secret(self, name: SecretName, at: float) -> bool:
        """Retire it; whether there was one."""
        ...

    async def maskable_secrets(self, pipeline: str) -> Sequence[StoredSecret]:
        """All that a job of that pipeline could have read: current and retired, its own and the global ones."""
        ...

    async def forget_retired_secrets(self, before: float) -> int:
        """Remove what was retired before that moment; how many values that were."""
        ...

    async def reads_of(self, job_id: str) -> Sequence[str]:
        """The names of what a job read, each once, in the order of the first time."""
        ...

    async def last_read(self, name: SecretName) -> SecretRead | None:
        """The newest, of the jobs that are still known."""
        ...

    async def record_read(self, job_id: str, sequence: int, name: SecretName, at: float) -> bool:
        """That a job read it; False for a repeated call, which is the same read."""
        ...


class SecretCipher(Protocol):
    """Clear to stored and back; the identity of the row is bound to the value."""

    def encrypt_secret(self, secret_id: str, name: SecretName, value: bytes) -> bytes: ...
    def decrypt_secret(self, secret: StoredSecret) -> bytes: ...


class SecretValues(Protocol):
    """What the log of a pipeline's job must mask."""

    async def values_to_mask(self, pipeline: str) -> Sequence[bytes]: ...

    async def forget_retired(self, before: float) -> None:
        """No job that was made before that moment is left: values that were replaced earlier need no masking any more."""
        ...
