"""The steps of an upgrade, beside those of an installation. Like them, each can be undone: that is the way back.

While a unit is *held* it runs a program that waits and accepts nothing. A unit that is stopped would be started by the
next connection; a held one leaves connections waiting in the sockets, which systemd keeps open.
"""

from typing import ClassVar

from danube_pkg.core.errors import Permanent
from danube_pkg.install.ports import Machine
from danube_pkg.install.steps import NOTHING, SERVICE, Before
from danube_pkg.install.units import PROGRAM, SETTINGS
from danube_pkg.kit.records import Record

DROP_IN_DIRECTORY = f"/run/systemd/system/{SERVICE}.d"
DROP_IN = f"{DROP_IN_DIRECTORY}/upgrade.conf"
"""In /run: a machine that is switched off meanwhile starts the server, whichever program is installed by then."""

HELD = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec sleep 86400'\n"


class HoldServer(Record, tag_field="kind", tag="hold"):
    """The server is stopped and its unit held."""

    unit: str = SERVICE
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "server: stopped; connections wait, running jobs continue"

    def holds(self, machine: Machine) -> bool:
        state = machine.units.state(self.unit)
        return machine.files.state(DROP_IN) is not None and state.active and not state.needs_reload

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        hold(machine)

    def undo(self, machine: Machine, before: Before) -> None:
        release(machine)


class SaveDatabase(Record, tag_field="kind", tag="database"):
    """A copy of the database exists, from when the server had stopped. schema: of the former program.
    work_began: as in `ports.InstalledServer`, of the former program."""

    data: str
    target: str
    schema: int
    work_began: str
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"copy of the database with schema {self.schema}"

    def holds(self, machine: Machine) -> bool:
        return machine.files.state(self.target) is not None

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        machine.server.copy_database(self.data, self.target)

    def undo(self, machine: Machine, before: Before) -> None:
        if self.holds(machine):
            machine.server.restore_database(self.data, self.target, self.schema)


class MigrateDatabase(Record, tag_field="kind", tag="migrate"):
    """The database has the new program's schema."""

    data: str
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "database: migrated by the new program"

    def holds(self, machine: Machine) -> bool:
        return machine.server.is_migrated(PROGRAM, self.data)

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        machine.server.migrate(PROGRAM, self.data)

    def undo(self, machine: Machine, before: Before) -> None:
        """The database is restored by the step that copied it."""


class TryStart(Record, tag_field="kind", tag="trial"):
    """The new program can work on the data: it has opened everything, and changed no job."""

    data: str
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "trial: the new program opens everything and checks it"

    def holds(self, machine: Machine) -> bool:
        return machine.server.trial_problem(PROGRAM, self.data) == ""

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        """Only what was found can be reported: nothing makes a program work."""
        raise Permanent(
            "trial-failed",
            "the new program cannot work on this server's data",
            cause=machine.server.trial_problem(PROGRAM, self.data),
            hint=f"the former one continues; try the new one by hand: FILE serve --trial --config {SETTINGS}",
        )

    def undo(self, machine: Machine, before: Before) -> None:
        """It has changed nothing."""


class StartServer(Record, tag_field="kind", tag="start"):
    """The unit runs the server again."""

    unit: str = SERVICE
    lasting: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "server: started"

    def holds(self, machine: Machine) -> bool:
        state = machine.units.state(self.unit)
        return machine.files.state(DROP_IN) is None and state.active and not state.needs_reload

    def before(self, machine: Machine, saved: str) -> Before:
        return NOTHING

    def do(self, machine: Machine) -> None:
        release(machine)

    def undo(self, machine: Machine, before: Before) -> None:
        hold(machine)


def hold(machine: Machine) -> None:
    """Stop the server, and let a program that accepts nothing have its sockets."""
    if machine.files.state(DROP_IN_DIRECTORY) is None:
        machine.files.make_directory(DROP_IN_DIRECTORY, 0o755)
    machine.files.write(DROP_IN, HELD.encode(), 0o644)
    machine.units.reload()
    machine.units.restart(SERVICE)


def release(machine: Machine) -> None:
    """Start the program that is installed now."""
    machine.files.remove(DROP_IN)
    machine.files.remove_empty(DROP_IN_DIRECTORY)
    machine.units.reload()
    machine.units.restart(SERVICE)
