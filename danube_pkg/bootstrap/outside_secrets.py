"""Opens the places outside of Danube that have values of secrets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.secrets.files import SecretFiles
from danube_pkg.adapters.secrets.vault import VaultSecrets
from danube_pkg.adapters.store import SqliteSecrets
from danube_pkg.bootstrap.engine import EngineParts
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.secrets.outside import OutsideSecrets, SecretSettings
from danube_pkg.services.outside_secrets import OutsidePlaces


@asynccontextmanager
async def open_outside_secrets(settings: SecretSettings, store: Store, jobs: EngineParts) -> AsyncIterator[None]:
    """Jobs read secrets there while the block is open; files before the KV engine."""
    async with AsyncExitStack() as stack:
        places: list[OutsideSecrets] = []
        if settings.directory:
            places.append(SecretFiles(Path(settings.directory)))
        if settings.vault is not None:
            vault = VaultSecrets(settings.vault, f"danube/{__version__}")
            stack.push_async_callback(vault.close)
            places.append(vault)
        sqlite, token_of = SqliteSecrets(store.database), jobs.id_tokens.issue_to_server
        jobs.secrets.outside = OutsidePlaces(places, token_of, sqlite, store.keys, store.clock, store.new_id)
        yield
