"""`danube secrets rotate-key`: a new `keys/encryption.key`, for a stopped server.

Everything that the old key encrypts is encrypted again in one transaction, which also stores the new key's fingerprint.
Before it the new key lies beside the old one; after it the new one takes its place. Interrupted in between, the next
start or rotation sees by the fingerprint which of the two is the database's, and ends the rotation.

Tokens and keys of running jobs are derived from the key, so that no pod may be left. The audit log is not rewritten:
the key of its older entries is kept, encrypted with the new one.
"""

import json
import sqlite3
from pathlib import Path

from danube_pkg.adapters.keys.given_key import given_key
from danube_pkg.adapters.keys.keys import KEY_NAME, NEXT_KEY_NAME, Keys, write_new_key
from danube_pkg.adapters.store import Database
from danube_pkg.adapters.store.audit import append_entry
from danube_pkg.adapters.store.key_rotation import encrypt_again
from danube_pkg.adapters.store.server_state import put_state
from danube_pkg.bootstrap.keys import (
    DATABASE_NAME,
    FINGERPRINT,
    FORMER_AUDIT_KEYS,
    audit_keys,
    end_rotation,
    open_keys,
)
from danube_pkg.bootstrap.store import locked_data_directory
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.secrets.secret import StoredSecret
from danube_pkg.core.storage_errors import storage_error
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.records import Record

_JOBS_WITH_PODS = "SELECT id FROM jobs WHERE phase NOT IN ('queued', 'closed') ORDER BY id"


class Rotation(Record):
    """count: encrypted values. fingerprint: of the new key."""

    count: int
    fingerprint: str


async def rotate_encryption_key(directory: Path, actor: str, clock: Clock) -> Rotation:
    """Returns when nothing needs the old key any more. Raises Conflict while a server runs or a job has a pod,
    Permanent for a directory whose key or database is missing or damaged; then nothing has changed."""
    path = directory / DATABASE_NAME
    if not path.is_file():
        raise Permanent("database-missing", f"there is no {path}", hint="name the server's data directory: --data DIR")
    if (given := given_key()) is not None:
        raise Conflict(
            "key-given",
            f"the encryption key comes from {given[1]}, which a rotation cannot replace",
            hint=f"write it into {directory / 'keys' / KEY_NAME} (mode 0600), give none from outside, rotate, and move it back",
        )
    with locked_data_directory(directory):
        database = Database(path)
        try:
            old = await open_keys(directory, database)
            _check_no_pods(database)
            new = _new_key(directory / "keys")
            former = _former_audit_keys(database, old, new)
            event = AuditEvent(clock.now(), actor, "rotate-encryption-key", details={"fingerprint": new.fingerprint})

            def work(connection: sqlite3.Connection) -> int:
                count = encrypt_again(connection, lambda one: _encrypted_again(one, old, new))
                put_state(connection, FINGERPRINT, new.fingerprint)
                put_state(connection, FORMER_AUDIT_KEYS, former)
                append_entry(connection, new.audit_key, event)
                return count

            count = await database.write(work)
        finally:
            await database.close()
        end_rotation(directory, new.fingerprint)
    return Rotation(count, new.fingerprint)


def _new_key(directory: Path) -> Keys:
    try:
        write_new_key(directory / NEXT_KEY_NAME)
    except OSError as error:
        then = "the old key stays"
        raise storage_error(error, "keys", NEXT_KEY_NAME, str(directory), then=then) or error from error
    return Keys.read(directory, NEXT_KEY_NAME)


def _check_no_pods(database: Database) -> None:
    if rows := database.read(_JOBS_WITH_PODS):
        others = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        raise Conflict(
            "jobs-running",
            f"job {rows[0]['id']}{others} still runs",
            cause="the keys of its steps are derived from the encryption key",
            hint="start the server, let its jobs end and stop it: danube drain",
        )


def _former_audit_keys(database: Database, old: Keys, new: Keys) -> str:
    chain = audit_keys(database, old)
    last = database.read("SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'audit'")[0]["seq"]
    return json.dumps([[until, new.wrap(key)] for until, key in (*chain.former, (last, chain.current))])


def _encrypted_again(stored: StoredSecret, old: Keys, new: Keys) -> bytes:
    return new.encrypt_secret(stored.id, stored.name, old.decrypt_secret(stored))
