"""`ports.MachineUnits` by systemctl."""

from collections.abc import Mapping

from danube_pkg.install.commands import require_success, run_machine_command
from danube_pkg.install.ports import UnitState


class Systemctl:
    """systemd of this machine. systemctl itself waits until a unit runs or has stopped."""

    def reload(self) -> None:
        require_success("systemctl", "daemon-reload")

    def state(self, unit: str) -> UnitState:
        """A unit that systemd does not know is neither enabled nor active."""
        found = _properties(unit)
        return UnitState(
            enabled=found.get("UnitFileState") == "enabled",
            active=found.get("ActiveState") in ("active", "activating", "reloading"),
            needs_reload=found.get("NeedDaemonReload") == "yes",
        )

    def enable(self, unit: str) -> None:
        require_success("systemctl", "enable", "--quiet", "--", unit)

    def disable(self, unit: str) -> None:
        if self.state(unit).enabled:
            require_success("systemctl", "disable", "--quiet", "--", unit)

    def start(self, unit: str) -> None:
        require_success("systemctl", "start", "--", unit, hint=(f"journalctl -u {unit}", f"systemctl status {unit}"))

    def restart(self, unit: str) -> None:
        run_machine_command("systemctl", "reset-failed", "--", unit)  # of a program that has failed too often
        require_success("systemctl", "restart", "--", unit)

    def stop(self, unit: str) -> None:
        """Also one that is being stopped with a unit that it needs: systemctl waits for it."""
        if _properties(unit).get("ActiveState") not in ("inactive", "failed"):
            require_success("systemctl", "stop", "--", unit)
        run_machine_command("systemctl", "reset-failed", "--", unit)  # it says so where the unit has not failed


def _properties(unit: str) -> Mapping[str, str]:
    names = ("UnitFileState", "ActiveState", "NeedDaemonReload")
    words = ["systemctl", "show", "--property", ",".join(names), "--", unit]
    return dict(line.partition("=")[::2] for line in run_machine_command(*words).printed.splitlines())
