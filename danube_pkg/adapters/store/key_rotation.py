"""The SQL of a new encryption key: every encrypted value is written again, and nothing is left of the old bytes."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from danube_pkg.adapters.store.managed_hooks import hook_of_row
from danube_pkg.core.secrets.secret import SecretName, StoredSecret

Encrypt = Callable[[StoredSecret], bytes]
"""The value of a stored secret, encrypted with the new key."""


def encrypt_again(connection: sqlite3.Connection, encrypt: Encrypt) -> int:
    """Encrypt secrets, their replaced values and the secrets of webhooks again, within a transaction. Returns how many
    there are."""
    count = 0
    for table, identity in (("secrets", "id"), ("retired_secrets", "secret_id")):
        for row in connection.execute(f"SELECT id, {identity} AS name, pipeline_id, key FROM {table}").fetchall():
            (value,) = connection.execute(f"SELECT value_encrypted FROM {table} WHERE id = ?", (row["id"],)).fetchone()
            stored = StoredSecret(row["name"], SecretName(row["pipeline_id"], row["key"]), value, 0.0, 0.0)
            connection.execute(f"UPDATE {table} SET value_encrypted = ? WHERE id = ?", (encrypt(stored), row["id"]))
            count += 1
    for row in connection.execute("SELECT * FROM managed_hooks").fetchall():
        hook = hook_of_row(row)
        update = "UPDATE managed_hooks SET secret_encrypted = ? WHERE marker = ?"
        connection.execute(update, (encrypt(hook.stored_secret), hook.marker))
        count += 1
    return count


def compact(path: Path) -> None:
    """Write a database file anew without the pages that are free, which hold what rows held before. Raises
    sqlite3.Error, for one while the disk has no room for a second file."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
