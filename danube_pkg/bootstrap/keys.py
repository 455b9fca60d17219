"""Finds the keys of a data directory, and refuses to make anew what should have been found.

The database is created before the key, and knows the key by its fingerprint. So a directory with a key and no database
has lost its database, and a database with a fingerprint and no key has lost its key.
"""

import json
import sqlite3
from pathlib import Path

from danube_pkg.adapters.keys.files import key_missing
from danube_pkg.adapters.keys.keys import DEPLOY_KEY_NAME, KEY_NAME, NEXT_KEY_NAME, Keys, open_deploy_key
from danube_pkg.adapters.keys.signing import HISTORY_NAME, SIGNING_KEY_NAME, SigningKeys
from danube_pkg.adapters.store import Database, SqliteServerState
from danube_pkg.adapters.store.key_rotation import compact
from danube_pkg.core.errors import Permanent
from danube_pkg.core.identity.audit import AuditKeys
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.files import sync_directory
from danube_pkg.kit.logs import EventLog
from danube_pkg.services.provenance.signing_keys import SIGNING_KEY_STATE

DATABASE_NAME = "danube.db"
FINGERPRINT = "key-fingerprint"
_DEPLOY_KEY = "deploy-key"
FORMER_AUDIT_KEYS = "former-audit-keys"
"""The state with the wrapped keys of the audit log from before rotations, as JSON: [[last sequence number, key], …]."""

_log = EventLog("danube.keys")

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
    if known is not None:
        end_rotation(directory, known[0])
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


def end_rotation(directory: Path, fingerprint: str) -> None:
    """End a rotation that may have been interrupted: the next key takes the place of the former one if the database is
    encrypted with it already, else it goes. fingerprint: of the database's key. Raises as `Keys.read`."""
    keys = directory / "keys"
    following = keys / NEXT_KEY_NAME
    if not following.exists():
        return
    if Keys.read(keys, NEXT_KEY_NAME).fingerprint == fingerprint:
        _forget_old_bytes(directory / DATABASE_NAME)
        following.replace(keys / KEY_NAME)
    else:
        following.unlink()
    sync_directory(keys)


def _forget_old_bytes(database: Path) -> None:
    try:
        compact(database)
    except sqlite3.Error as error:
        _log.warning(
            "old-key-still-used",
            cause=str(error),
            consequence=f"unused parts of {database} can still be decrypted with the former key",
            hint="free space on its disk, and rotate again: danube secrets rotate-key",
        )


def audit_keys(database: Database, keys: Keys) -> AuditKeys:
    """The keys of the audit log's chain: the current one, and those from before rotations."""
    rows = database.read("SELECT value FROM server_state WHERE name = ?", FORMER_AUDIT_KEYS)
    former = json.loads(rows[0]["value"]) if rows else []
    return AuditKeys(keys.audit_key, tuple((last, keys.unwrap(wrapped)) for last, wrapped in former))


async def open_signing_keys(directory: Path, database: Database, clock: Clock) -> SigningKeys:
    """The signing key, created on the first start. Raises Permanent for one that is missing though it has signed, and
    for one that is neither the last one known nor its successor: a rotation leaves the old key in the history."""
    state, keys_directory = SqliteServerState(database), directory / "keys"
    path, known = keys_directory / SIGNING_KEY_NAME, await state.recall(SIGNING_KEY_STATE)
    if known is not None and not path.exists():
        raise key_missing(path, "artifacts were signed with it, and verifiers trust it")
    keys = SigningKeys.open(keys_directory, clock)
    if known is not None and known[0] not in {one.id for one in keys.public_keys()}:
        raise Permanent(
            "key-changed",
            f"{path} is not the signing key of this database",
            cause=f"key {known[0]} has signed, and its public half is not in {keys_directory / HISTORY_NAME}",
            hint=f"restore {path} and {keys_directory / HISTORY_NAME} from the same backup as {directory / DATABASE_NAME}",
        )
    if known is None or known[0] != keys.current.id:
        await state.remember(SIGNING_KEY_STATE, keys.current.id)
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
