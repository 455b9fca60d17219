"""Opens the places outside of Danube that have values of secrets."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.secrets.files import SecretFiles
from danube_pkg.adapters.secrets.vault import VaultSecrets
from danube_pkg.core.secrets.outside import OutsideSecrets, SecretSettings


@asynccontextmanager
async def open_outside_secrets(settings: SecretSettings) -> AsyncIterator[Sequence[OutsideSecrets]]:
    """The places, closed with the block; files before the KV engine."""
    async with AsyncExitStack() as stack:
        places: list[OutsideSecrets] = []
        if settings.directory:
            places.append(SecretFiles(Path(settings.directory)))
        if settings.vault is not None:
            vault = VaultSecrets(settings.vault, f"danube/{__version__}")
            stack.push_async_callback(vault.close)
            places.append(vault)
        yield places
