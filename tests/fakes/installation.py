"""A machine for installations: real files below a directory, and users, systemd and server that record calls. Any call
that changes something can fail, before or after it has done so."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.install.local_files import LocalFiles
from danube_pkg.install.plan import ProgramFile
from danube_pkg.install.ports import FileState, Machine, UnitState
from danube_pkg.install.steps import HTTP_SOCKET, SERVICE
from danube_pkg.install.units import PROGRAM
from danube_pkg.install.upgrade_steps import DROP_IN
from danube_pkg.kit.digests import digest_of
from danube_pkg.kit.records import Record, decode_json, encode_json, replace

READ_ONLY = frozenset(
    [
        "digest", "has_subordinate_ids", "ids", "is_migrated", "problem", "read", "schema", "state", "trial_problem",
        "version", "work_began",
    ]
)  # fmt: skip
"""Calls that change nothing, which the journal and the checks make."""


class CallFailed(OSError):
    """The call that a test lets fail."""


class Calls:
    """Every changing call, in order. fail_at: the number of the one that fails, from 0; after: once it was carried
    out, as a kill right behind it looks."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fail_at: int | None = None
        self.after = False

    def around(self, name: str, function: Callable[..., Any], words: Sequence[object]) -> Any:
        number = len(self.made)
        self.made.append(" ".join([name, *map(str, words)])[:200])
        if number == self.fail_at and not self.after:
            raise CallFailed(f"call {number}, {self.made[-1]}, fails")
        result = function(*words)
        if number == self.fail_at:
            raise CallFailed(f"call {number}, {self.made[-1]}, was the last")
        return result


class Recorded:
    """Passes every call on and records those that change something."""

    def __init__(self, name: str, real: object, calls: Calls) -> None:
        self._name = name
        self._real = real
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name in READ_ONLY:
            return found
        return lambda *words: self._calls.around(f"{self._name}.{name}", found, words)


class OwnedFiles(LocalFiles):
    """Files whose owners are kept in memory, so that an ordinary user can give them away. They are forgotten with the
    file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.owners: dict[str, tuple[int, int]] = {}

    def state(self, path: str) -> FileState | None:
        found = super().state(path)
        if found is None:
            self.owners.pop(path, None)
            return None
        user, group = self.owners.get(path, (0, 0))
        return replace(found, user=user, group=group)

    def set_owner(self, path: str, user: int, group: int) -> None:
        self.owners[path] = (user, group)


class FakeUsers:
    """root, and what is created."""

    def __init__(self) -> None:
        self.known = {"root": (0, 0)}

    def ids(self, name: str) -> tuple[int, int] | None:
        return self.known.get(name)

    def has_subordinate_ids(self, name: str) -> bool:
        return name in self.known

    def create(self, name: str, home: str) -> None:
        self.known[name] = (900, 900)

    def remove(self, name: str) -> None:
        del self.known[name]


class FakeUnits:
    """systemd: units by their files, read when it is reloaded. has_clients: a connection starts a stopped service whose
    socket is active."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "etc/systemd/system"
        self.read: Mapping[str, str] = {}
        self.enabled: set[str] = set()
        self.active: list[str] = []
        self.starts: list[str] = []
        self.has_clients = False

    def _files(self) -> Mapping[str, str]:
        return {path.name: path.read_text() for path in sorted(self._directory.glob("danube*")) if path.is_file()}

    def reload(self) -> None:
        self.read = self._files()

    def state(self, unit: str) -> UnitState:
        needs_reload = self._files().get(unit) != self.read.get(unit)
        return UnitState(unit in self.enabled, unit in self.active, needs_reload)

    def enable(self, unit: str) -> None:
        self._require(unit)
        self.enabled.add(unit)

    def disable(self, unit: str) -> None:
        self.enabled.discard(unit)

    def start(self, unit: str) -> None:
        self._require(unit)
        if unit not in self.active:
            self.active.append(unit)
            self.starts.append(unit)

    def restart(self, unit: str) -> None:
        self.stop(unit)
        self.start(unit)
        self.restarted(unit)

    def restarted(self, unit: str) -> None:
        """Replaced by the server of the unit."""

    def stop(self, unit: str) -> None:
        if unit in self.active:
            self.active.remove(unit)
        if self.has_clients and unit == SERVICE and HTTP_SOCKET in self.active:
            self.start(unit)

    def _require(self, unit: str) -> None:
        if unit not in self.read:
            raise Permanent("command-failed", f"there is no unit {unit}", hint="journalctl -u danube")


class FakeProgram(Record):
    """What a fake program's file says: how a server of it behaves."""

    version: str = "1.0.0"
    schema: int = 1
    trial_problem: str = ""
    answers: bool = True


class FakeDatabase(Record):
    """What a fake database's file says."""

    schema: int
    work_began: str
    content: str = ""


class FakeServer:
    """A server that answers while its unit is active and not held, as the program at its path does."""

    def __init__(self, root: Path, units: FakeUnits) -> None:
        self._root = root
        self._units = units
        self._starts = 0
        self.answers = True
        units.restarted = self._restarted  # type: ignore[method-assign]

    def _file(self, data: str) -> Path:
        return self._root / data.lstrip("/") / "danube.db"

    def _program(self, path: str = PROGRAM) -> FakeProgram:
        text = (self._root / path.lstrip("/")).read_bytes().partition(b"\n")[2]
        return decode_json(text, FakeProgram)

    def _database(self, data: str) -> FakeDatabase:
        return decode_json(self._file(data).read_bytes(), FakeDatabase)

    def write(self, data: str, database: FakeDatabase) -> None:
        self._file(data).write_bytes(encode_json(database))

    @property
    def _is_held(self) -> bool:
        return (self._root / DROP_IN.lstrip("/")).exists()

    def _restarted(self, unit: str) -> None:
        """A server that can read its database begins to work."""
        data = "/var/lib/danube"
        if not self._is_held and self._file(data).exists() and self._program().schema >= self._database(data).schema:
            self._begin(data)

    def _begin(self, data: str) -> None:
        self._starts += 1
        found = self._database(data)
        self.write(data, replace(found, schema=self._program().schema, work_began=str(self._starts)))

    def problem(self, data: str) -> str:
        if not self.answers or "danube.service" not in self._units.active or self._is_held:
            return "no server answers"
        if not self._file(data).exists():
            return "it has no database yet"
        can_read = self._program().schema >= self._database(data).schema
        return "" if self._program().answers and can_read else "it has ended"

    def wait_answer(self, data: str) -> None:
        if not self.answers or not self._program().answers:
            raise Unavailable("server-not-answering", "the server has not answered", hint="journalctl -u danube")
        if not self._file(data).exists():
            keys = self._root / data.lstrip("/") / "keys"
            keys.mkdir(exist_ok=True)
            (keys / "encryption.key").write_text("key")
            self.write(data, FakeDatabase(self._program().schema, "0", "jobs"))

    def remove_pods(self, data: str) -> None:
        assert "danube.service" not in self._units.active, "the server still uses them"

    def work_began(self, data: str) -> str:
        return self._database(data).work_began

    def schema(self, data: str) -> int:
        return self._database(data).schema

    def back_up(self, data: str, target: str) -> None:
        self.copy_database(data, target)

    def copy_database(self, data: str, target: str) -> None:
        assert self._is_held or target.endswith(".backup"), "the server still writes to it"
        (self._root / target.lstrip("/")).write_bytes(self._file(data).read_bytes())

    def restore_database(self, data: str, source: str, schema: int) -> None:
        assert self._is_held, "the server still writes to it"
        if self._database(data).schema != schema:
            self._file(data).write_bytes((self._root / source.lstrip("/")).read_bytes())

    def version(self, program: str) -> str:
        return f"danube {self._program(program).version}"

    def migrate(self, program: str, data: str) -> None:
        assert self._is_held
        self.write(data, replace(self._database(data), schema=self._program(program).schema))

    def is_migrated(self, program: str, data: str) -> bool:
        return self._program(program).schema == self._database(data).schema

    def trial_problem(self, program: str, data: str) -> str:
        assert self._is_held
        return self._program(program).trial_problem


class FakeMachine:
    """The whole machine. files below `root` are real."""

    def __init__(self, root: Path) -> None:
        for name in ("usr/local", "etc/systemd/system", "run/systemd/system", "var/lib", "var/cache"):
            (root / name).mkdir(parents=True)
        self.root = root
        self.calls = Calls()
        self.users, self.units = FakeUsers(), FakeUnits(root)
        self.server = FakeServer(root, self.units)
        self.files = OwnedFiles(root)

    def write_program(self, path: str, program: FakeProgram) -> ProgramFile:
        """Its file, as it was downloaded."""
        data = b"#!/bin/danube\n" + encode_json(program)
        (self.root / path.lstrip("/")).parent.mkdir(exist_ok=True)
        (self.root / path.lstrip("/")).write_bytes(data)
        return ProgramFile(path, digest_of(data).sha256)

    @property
    def machine(self) -> Machine:
        parts = {"files": self.files, "users": self.users, "units": self.units, "server": self.server}
        recorded: Any = {name: Recorded(name, part, self.calls) for name, part in parts.items()}
        return Machine(**recorded)

    def tree(self) -> Mapping[str, str]:
        """Every file and directory with its mode, owner and content."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = f"/{path.relative_to(self.root)}"
            state = self.files.state(name)
            assert state is not None
            content = path.read_bytes().decode(errors="replace") if path.is_file() else ""
            found[name] = f"{state.mode:o} {state.user}:{state.group} {content}"
        return found

    def services(self) -> tuple[Sequence[str], Sequence[str], Mapping[str, str], Mapping[str, object]]:
        """What systemd and the users are: enabled, active and known units, users."""
        return sorted(self.units.enabled), sorted(self.units.active), dict(self.units.read), dict(self.users.known)
