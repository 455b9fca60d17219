"""The steps of an installation. Each is a record, so that the journal can keep it: what was installed is taken away by
what is written there, also by another version of Danube.

A step *holds* when the machine is as it describes; *before* records what `undo` restores; *do* makes it hold. All of
them may be repeated after an interruption at any point.
"""

from typing import ClassVar

from danube_pkg.core.errors import Permanent
from danube_pkg.install.ports import Machine
from danube_pkg.kit.records import Record

ROOT_USER = "root"

HTTP_SOCKET, ADMIN_SOCKET, SERVICE = "danube.socket", "danube-admin.socket", "danube.service"
PODS_SOCKET, PODS_SERVICE = "danube-pods.socket", "danube-pods.service"
"""The sockets are started first, so that connections wait for the server. They are stopped first too: with its socket
active, the next connection would start a server again that was stopped for good."""

SLICE = "danube.slice"
"""systemd makes it with the first unit that is in it, and the one of the pods inside of it."""

UNITS = (HTTP_SOCKET, ADMIN_SOCKET, PODS_SOCKET, PODS_SERVICE, SERVICE)


class Before(Record):
    """What existed before a step: a file or directory with its mode and owner, and where a copy of the file is."""

    existed: bool = False
    mode: int = 0
    user: int = 0
    group: int = 0
    saved: str = ""


NOTHING = Before()


class MakeDirectory(Record, tag_field="kind", tag="directory"):
    """A directory. shared: of the machine, with whatever mode it has. whole: all in it goes with it. lasting: it stays
    where the data is to be kept."""

    path: str
    mode: int = 0o755
    owner: str = ROOT_USER
    shared: bool = False
    whole: bool = False
    lasting: bool = False

    @property
    def title(self) -> str:
        return f"directory {self.path}" + ("" if self.shared else f", mode {self.mode:04o}, owner {self.owner}")

    def holds(self, machine: Machine) -> bool:
        found = machine.files.state(self.path)
        if found is None or not found.is_directory:
            return False
        return self.shared or (found.mode == self.mode and (found.user, found.group) == ids_of(machine, self.owner))

    def before(self, machine: Machine, saved: str) -> Before:
        return _state_before(machine, self.path)

    def do(self, machine: Machine) -> None:
        if machine.files.state(self.path) is None:
            machine.files.make_directory(self.path, self.mode)
        if not self.shared:
            machine.files.set_owner(self.path, *ids_of(machine, self.owner))
            machine.files.set_mode(self.path, self.mode)

    def undo(self, machine: Machine, before: Before) -> None:
        if machine.files.state(self.path) is None:
            return
        if before.existed:
            machine.files.set_owner(self.path, before.user, before.group)
            machine.files.set_mode(self.path, before.mode)
        elif self.whole:
            machine.files.remove_tree(self.path)
        else:
            machine.files.remove_empty(self.path)


class WriteFile(Record, tag_field="kind", tag="file"):
    """A text file of root. once: the administrator's from then on, so that an existing one is left as it is. unit:
    systemd must read it again."""

    path: str
    text: str
    mode: int = 0o644
    once: bool = False
    unit: str = ""
    lasting: bool = False

    @property
    def title(self) -> str:
        return f"file {self.path}, mode {self.mode:04o}"

    def holds(self, machine: Machine) -> bool:
        found = machine.files.state(self.path)
        if found is None or not found.is_file:
            return False
        if self.once:
            return True
        is_same = found.mode == self.mode and machine.files.read(self.path) == self.text.encode()
        return is_same and not (self.unit and machine.units.state(self.unit).needs_reload)

    def before(self, machine: Machine, saved: str) -> Before:
        return _save(machine, self.path, saved)

    def do(self, machine: Machine) -> None:
        machine.files.write(self.path, self.text.encode(), self.mode)
        if self.unit:
            machine.units.reload()

    def undo(self, machine: Machine, before: Before) -> None:
        _restore(machine, self.path, before)
        if self.unit:
            machine.units.reload()


class CopyProgram(Record, tag_field="kind", tag="program"):
    """Danube's own file. sha256: of its content, in hexadecimal."""

    source: str
    target: str
    sha256: str
    mode: int = 0o755
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"program {self.target}, a copy of {self.source}"

    def holds(self, machine: Machine) -> bool:
        found = machine.files.state(self.target)
        if found is None or not found.is_file or found.mode != self.mode:
            return False
        return machine.files.digest(self.target) == self.sha256

    def before(self, machine: Machine, saved: str) -> Before:
        return _save(machine, self.target, saved)

    def do(self, machine: Machine) -> None:
        machine.files.copy(self.source, self.target, self.mode)

    def undo(self, machine: Machine, before: Before) -> None:
        _restore(machine, self.target, before)


class CreateUser(Record, tag_field="kind", tag="user"):
    """A system user that the server runs as."""

    name: str
    home: str
    lasting: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"system user {self.name}, with subordinate ids"

    def holds(self, machine: Machine) -> bool:
        return machine.users.ids(self.name) is not None and machine.users.has_subordinate_ids(self.name)

    def before(self, machine: Machine, saved: str) -> Before:
        return Before(existed=machine.users.ids(self.name) is not None)

    def do(self, machine: Machine) -> None:
        machine.users.create(self.name, self.home)

    def undo(self, machine: Machine, before: Before) -> None:
        if not before.existed and machine.users.ids(self.name) is not None:
            machine.users.remove(self.name)


class RunUnits(Record, tag_field="kind", tag="units"):
    """The units run, and are started with the machine. data: the server's, whose pods end with them."""

    data: str
    units: tuple[str, ...] = UNITS
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"units {', '.join(self.units)}: enabled and started"

    def holds(self, machine: Machine) -> bool:
        states = [machine.units.state(unit) for unit in self.units]
        return all(one.enabled and one.active for one in states)

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        for unit in self.units:
            machine.units.enable(unit)
        for unit in self.units:
            machine.units.start(unit)

    def undo(self, machine: Machine, before: Before) -> None:
        for unit in self.units:
            machine.units.stop(unit)
            machine.units.disable(unit)
        machine.server.remove_pods(self.data)
        machine.units.stop(SLICE)


class AwaitServer(Record, tag_field="kind", tag="health"):
    """The server answers the administrator."""

    data: str
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "health: the server answers, and has made its keys"

    def holds(self, machine: Machine) -> bool:
        return machine.server.problem(self.data) == ""

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        machine.server.wait_answer(self.data)

    def undo(self, machine: Machine, before: Before) -> None:
        """There is nothing to restore."""


def ids_of(machine: Machine, name: str) -> tuple[int, int]:
    """(user, group) of a user that an earlier step has made. Raises Permanent."""
    found = machine.users.ids(name)
    if found is None:
        raise Permanent("user-missing", f"there is no user {name}", hint="continue the installation: danube install")
    return found


def _state_before(machine: Machine, path: str) -> Before:
    found = machine.files.state(path)
    return NOTHING if found is None else Before(True, found.mode, found.user, found.group)


def _save(machine: Machine, path: str, saved: str) -> Before:
    """The state of a file, with a copy of it. Raises Permanent for what is not a file."""
    found = machine.files.state(path)
    if found is None:
        return NOTHING
    if not found.is_file:
        raise Permanent("not-a-file", f"{path} is not a file", hint=f"move it away: mv {path} {path}.old")
    machine.files.copy(path, saved, 0o600)
    return Before(True, found.mode, found.user, found.group, saved)


def _restore(machine: Machine, path: str, before: Before) -> None:
    if not before.existed:
        machine.files.remove(path)
        return
    machine.files.copy(before.saved, path, before.mode)
    machine.files.set_owner(path, before.user, before.group)
