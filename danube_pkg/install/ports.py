"""What steps need of the machine: files, users, systemd, and the installed server."""

from typing import Protocol

from danube_pkg.kit.records import Record


class FileState(Record):
    """A file, directory or anything else at a path. user, group: numbers."""

    is_directory: bool
    is_file: bool
    mode: int
    user: int
    group: int


class MachineFiles(Protocol):
    """Files by absolute path. Every call raises OSError for what the machine refuses."""

    def state(self, path: str) -> FileState | None: ...
    def read(self, path: str) -> bytes: ...
    def digest(self, path: str) -> str:
        """SHA-256 in hexadecimal."""
        ...

    def write(self, path: str, data: bytes, mode: int) -> None:
        """Replace the content at once and durably."""
        ...

    def copy(self, source: str, target: str, mode: int) -> None:
        """The same with the content of another file."""
        ...

    def make_directory(self, path: str, mode: int) -> None: ...
    def set_owner(self, path: str, user: int, group: int) -> None: ...
    def set_mode(self, path: str, mode: int) -> None: ...
    def remove(self, path: str) -> None:
        """A file; nothing happens where there is none."""
        ...

    def remove_empty(self, path: str) -> bool:
        """Whether the directory is gone: one with entries stays."""
        ...

    def remove_tree(self, path: str) -> None: ...


class MachineUsers(Protocol):
    """Users by name."""

    def ids(self, name: str) -> tuple[int, int] | None:
        """(user, group); None where there is no such user."""
        ...

    def has_subordinate_ids(self, name: str) -> bool: ...
    def create(self, name: str, home: str) -> None:
        """A system user without a login, with a group of the same name and subordinate ids for pods."""
        ...

    def remove(self, name: str) -> None: ...


class UnitState(Record):
    """A unit as systemd knows it. needs_reload: its file has changed since systemd read it."""

    enabled: bool
    active: bool
    needs_reload: bool


class MachineUnits(Protocol):
    """systemd."""

    def reload(self) -> None: ...
    def state(self, unit: str) -> UnitState: ...
    def enable(self, unit: str) -> None: ...
    def disable(self, unit: str) -> None: ...
    def start(self, unit: str) -> None: ...
    def restart(self, unit: str) -> None: ...
    def stop(self, unit: str) -> None: ...


class InstalledServer(Protocol):
    """The server of a data directory, and the programs that work on it."""

    def problem(self, data: str) -> str:
        """Why the server does not answer; "" if it does."""
        ...

    def wait_answer(self, data: str) -> None:
        """Returns when the server answers. Raises Unavailable if it has not after some time."""
        ...

    def remove_pods(self, data: str) -> None:
        """End every pod of a server that is stopped."""
        ...

    def work_began(self, data: str) -> str:
        """Changes with each start of a server, before it may change a job."""
        ...

    def schema(self, data: str) -> int:
        """The number of the database's schema."""
        ...

    def back_up(self, data: str, target: str) -> None: ...
    def copy_database(self, data: str, target: str) -> None: ...
    def restore_database(self, data: str, source: str, schema: int) -> None:
        """Replace the database of a stopped server by a copy, unless it still has that schema."""
        ...

    def version(self, program: str) -> str:
        """What `--version` of a program prints. Raises Permanent for one that does not run."""
        ...

    def migrate(self, program: str, data: str) -> None: ...
    def is_migrated(self, program: str, data: str) -> bool:
        """Whether the database has the schema of that program."""
        ...

    def trial_problem(self, program: str, data: str) -> str:
        """Why a server of that program could not work on the data; "" if it could."""
        ...


class Machine(Record):
    """The machine that Danube is installed on."""

    files: MachineFiles
    users: MachineUsers
    units: MachineUnits
    server: InstalledServer
