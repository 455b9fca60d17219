"""`danube check-upgrade`: whether a server is ready to be stopped and started with another version.

Jobs that run are no obstacle: they continue under the new version. What counts is that the new version finds what it
needs: a whole database, its key, room for a copy of the database, and a configuration that can be read.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import disk_usage
from typing import Any

from danube_pkg.adapters.keys.keys import KEY_NAME, Keys
from danube_pkg.adapters.store.copies import check_integrity, schema_of, stored_value
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.bootstrap.keys import DATABASE_NAME, FINGERPRINT
from danube_pkg.core.errors import PlatformError
from danube_pkg.ops.doctor import CheckResult

FREE_SHARE = 0.10

Ask = Callable[[str], Any]
"""The answer of the server's API to a GET; raises PlatformError."""


def check_upgrade(data: Path, ask: Ask) -> list[CheckResult]:
    """Every check, in the order in which they should be fixed. None of them changes anything."""
    return [
        _guarded("database", lambda: _database(data / DATABASE_NAME)),
        _guarded("keys", lambda: _keys(data)),
        _guarded("disk", lambda: _disk(data)),
        *_server(ask),
    ]


def _guarded(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except PlatformError as error:
        return CheckResult(name, False, str(error), error.hint)
    except (OSError, sqlite3.Error) as error:
        return CheckResult(name, False, f"it cannot be read: {error}", "name the data directory: --data DIR; ls -l DIR")


def _database(path: Path) -> CheckResult:
    if not path.is_file():
        hint = "name the server's data directory: danube check-upgrade --data DIR"
        return CheckResult("database", False, f"there is no {path}", hint)
    check_integrity(path)
    found = schema_of(path)
    if found > len(MIGRATIONS):
        what = f"{path} has schema {found}, this program knows up to {len(MIGRATIONS)}"
        return CheckResult("database", False, what, "use the newer Danube that wrote it")
    more = "" if found == len(MIGRATIONS) else f"; this program makes it {len(MIGRATIONS)}, after a copy"
    return CheckResult("database", True, f"it is whole; schema {found}{more}")


def _keys(data: Path) -> CheckResult:
    found, wanted = Keys.read(data / "keys").fingerprint, stored_value(data / DATABASE_NAME, FINGERPRINT)
    if wanted and wanted != found:
        what = f"{data / 'keys' / KEY_NAME} is not the key of this database"
        return CheckResult("keys", False, what, f"restore the {KEY_NAME} that belongs to it, from the same backup")
    return CheckResult("keys", True, "they can be read, and are those of the database")


def _disk(data: Path) -> CheckResult:
    usage = disk_usage(data)
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB are free"
    if usage.free < FREE_SHARE * usage.total:
        hint = "make room: danube reap --dry-run; danube image list"
        return CheckResult("disk", False, f"only {free}; a tenth should be", hint)
    needed = 2 * (data / DATABASE_NAME).stat().st_size
    if usage.free < needed:
        what = f"{free}, but a copy of the database needs {needed / 1e9:.1f} GB"
        return CheckResult("disk", False, what, "make room: danube reap --dry-run; danube image list")
    return CheckResult("disk", True, free)


def _server(ask: Ask) -> Sequence[CheckResult]:
    """What the running server says."""
    try:
        system, configuration = ask("/api/v1/system"), ask("/api/v1/config")
    except PlatformError as error:
        return [CheckResult("server", False, f"it does not answer: {error}", error.hint)]
    return [
        CheckResult("server", True, f"it answers; version {system['version']}"),
        _jobs(system["phases"], system.get("waiting_for_approval", ())),
        _configuration(configuration),
    ]


def _jobs(phases: Mapping[str, int], awaited: Sequence[Mapping[str, Any]]) -> CheckResult:
    running = sum(count for phase, count in phases.items() if phase != "queued")
    waiting = phases.get("queued", 0)
    if not running and not waiting:
        return CheckResult("jobs", True, "none is unfinished")
    named = ", ".join(f"{one['job']} ({one['environment']})" for one in awaited[:5])
    approvals = f"; {len(awaited)} of them for an approval: {named}" if awaited else ""
    what = f"{running} run and {waiting} wait; they continue under the new version{approvals}"
    return CheckResult("jobs", True, what, "to wait until none runs: danube drain" if running else "")


def _configuration(configuration: Mapping[str, Any]) -> CheckResult:
    if configuration["ok"]:
        return CheckResult("configuration", True, "the newest commit is applied")
    return CheckResult("configuration", False, "the newest commit is not applied", "danube config status")
