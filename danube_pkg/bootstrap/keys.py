"""Finds the keys of a data directory, and refuses to make anew what should have been found.

The database is created before the key, and knows the key by its fingerprint. So a directory with a key and no database
has lost its database, and a database with a fingerprint and no key has lost its key.
"""

from pathlib import Path

from danube_pkg.adapters.keys.keys import DEPLOY_KEY_NAME, KEY_NAME, Keys, key_missing, open_deploy_key
from danube_pkg.adapters.store import Database, SqliteServerState
from danube_pkg.core.errors import Permanent

DATABASE_NAME = "danube.db"
FINGERPRINT = "key-fingerprint"
_DEPLOY_KEY = "deploy-key"

_USES_OF_THE_KEY = (
    "SELECT EXISTS (SELECT 1 FROM secrets) OR EXISTS (SELECT 1 FROM audit) OR EXISTS (SELECT 1 FROM jobs)"
)


def check_not_emptied(directory: Path) -> None:
    """Raises Permanent for a directory that has been used and whose database is missing or empty."""
    database, key = directory / DATABASE_NAME, directory / "keys" / KEY_NAME
    if key.exists() and (not database.exists() or database.stat().st_size == 0):
        what = "is empty" if database.exists() else "is missing"
        raise Permanent(
            "database-missing",
            f"{database} {what}",
            cause=f"{directory} has been used: {key} exists",
            hint="is a volume not mounted? Else restore a backup into a new directory: danube restore FILE --data DIR; "
            "for a new server name an empty directory: --data DIR",
        )


async def open_keys(directory: Path, database: Database) -> Keys:
    """The keys, created for a new database only. Raises Permanent for a key that is missing, or another one than the
    database was used with."""
    state, path = SqliteServerState(database), directory / "keys" / KEY_NAME
    known = await state.recall(FINGERPRINT)
    # A database from before there were fingerprints needs its key as soon as anything was done with it.
    is_used = known is not None or bool(database.read(_USES_OF_THE_KEY)[0][0])
    keys = Keys.read(directory / "keys") if is_used else Keys.open(directory / "keys")
    if known is None:
        await state.remember(FINGERPRINT, keys.fingerprint)
    elif known[0] != keys.fingerprint:
        raise Permanent(
            "key-changed",
            f"{path} is not the key of this database",
            cause="with another key no secret can be decrypted and no running job can be taken over",
            hint=f"restore the {path} that belongs to {directory / DATABASE_NAME}, from the same backup",
        )
    return keys


async def open_ssh_key(directory: Path, database: Database) -> tuple[str, bool]:
    """The public half of the deploy key, and whether it was created now. Raises Permanent for one that is missing
    though forges may know it."""
    state, path = SqliteServerState(database), directory / DEPLOY_KEY_NAME
    is_new = not path.exists()
    if is_new and await state.recall(_DEPLOY_KEY) is not None:
        raise key_missing(path, "repositories were given access for it")
    public = open_deploy_key(directory)
    if is_new or await state.recall(_DEPLOY_KEY) is None:
        await state.remember(_DEPLOY_KEY, public)
    return public, is_new
