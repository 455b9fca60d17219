"""What is checked before an installation: pure, from facts about the machine to findings.

A finding that is not ok keeps Danube from running jobs here; one that is ok and has a hint could be better.
"""

from collections.abc import Sequence

from danube_pkg.install.journal import InstallOptions, JournalContent
from danube_pkg.install.plan import ProgramFile
from danube_pkg.install.units import PROGRAM, UNIT_DIRECTORY
from danube_pkg.kit.records import Record
from danube_pkg.ops.doctor import CheckResult

CPUS = 2
MEMORY_BYTES = 4 * 10**9 * 9 // 10
"""4 GB, less what the kernel and the firmware keep of it."""
DISK_BYTES = 20 * 10**9
"""Images, repositories, logs and artifacts of a small team."""

OLDEST_CLOCK = 1_764_500_000.0
"""The end of November 2025. A clock before it is not set, and certificates and cookies would not be valid."""


class MachineFacts(Record):
    """What was found on the machine. listening: another process listens at the address. free_bytes: of the disk that
    the data will be on. foreign: files of an installation that is not in a journal. synchronized: None if unknown."""

    is_root: bool
    systemd: str
    cpus: int
    memory_bytes: int
    free_bytes: int
    now: float
    synchronized: bool | None
    listening: bool
    foreign: tuple[str, ...] = ()


def check_machine(
    facts: MachineFacts, options: InstallOptions, program: ProgramFile, known: JournalContent | None
) -> Sequence[CheckResult]:
    """The findings in the order in which they should be fixed. known: the journal's content."""
    return [
        _root(facts),
        _systemd(facts),
        _earlier(facts, options, known),
        _address(facts, options, known),
        _processors(facts),
        _memory(facts),
        _disk(facts),
        _clock(facts),
    ]


def _root(facts: MachineFacts) -> CheckResult:
    if facts.is_root:
        return CheckResult("root", True, "this is root")
    return CheckResult("root", False, "only root may write to /etc and /usr/local", "sudo danube install")


def _systemd(facts: MachineFacts) -> CheckResult:
    if facts.systemd:
        return CheckResult("systemd", True, f"systemd {facts.systemd} runs this machine")
    hint = "run it yourself, without a service: danube serve --data DIR"
    return CheckResult("systemd", False, "this machine is not run by systemd, whose units are installed", hint)


def _earlier(facts: MachineFacts, options: InstallOptions, known: JournalContent | None) -> CheckResult:
    name = "earlier installation"
    if known is None and facts.foreign:
        what = f"{', '.join(facts.foreign)} exist and are not of danube install"
        hint = f"systemctl disable --now danube.socket danube.service; move them away: mv {facts.foreign[0]} /root"
        return CheckResult(name, False, what, hint)
    if known is None:
        return CheckResult(name, True, "there is none")
    if known.removing:
        return CheckResult(name, False, "one is only half removed", "danube uninstall")
    if known.options != options:
        old = known.options
        what = f"one with other options exists: data {old.data}, user {old.user}, address {old.listen}"
        hint = "leave the options out, and change /etc/danube/danube.toml; or first: danube uninstall --keep-data"
        return CheckResult(name, False, what, hint)
    state = "is complete" if known.complete else "was interrupted, and continues"
    return CheckResult(name, True, f"one of Danube {known.version} {state}")


def _address(facts: MachineFacts, options: InstallOptions, known: JournalContent | None) -> CheckResult:
    if facts.listening and known is None:
        what = f"another process listens on {options.listen}"
        return CheckResult("address", False, what, "choose another one: danube install --listen 127.0.0.1:8081")
    return CheckResult("address", True, f"{options.listen} is free" if known is None else f"{options.listen}")


def _processors(facts: MachineFacts) -> CheckResult:
    hint = "" if facts.cpus >= CPUS else f"{CPUS} are recommended: a job and the server share this one"
    return CheckResult("processors", True, f"{facts.cpus}", hint)


def _memory(facts: MachineFacts) -> CheckResult:
    hint = "" if facts.memory_bytes >= MEMORY_BYTES else "4 GB are recommended: larger builds may end as out-of-memory"
    return CheckResult("memory size", True, f"{facts.memory_bytes / 1e9:.1f} GB", hint)


def _disk(facts: MachineFacts) -> CheckResult:
    hint = "" if facts.free_bytes >= DISK_BYTES else "20 GB are recommended: danube install --data DIR on a larger disk"
    return CheckResult("free space", True, f"{facts.free_bytes / 1e9:.1f} GB", hint)


def _clock(facts: MachineFacts) -> CheckResult:
    if facts.now < OLDEST_CLOCK:
        return CheckResult("clock", False, "it is years behind", "set it: timedatectl set-ntp true")
    if facts.synchronized is False:
        what = "it is not synchronized, so logins at other servers may be refused"
        return CheckResult("clock", True, what, "timedatectl set-ntp true")
    return CheckResult("clock", True, "it is set")


def program_differs(program: ProgramFile, installed: str) -> CheckResult:
    """Whether the program that runs is the one that is installed. installed: SHA-256 of that, or ""."""
    if not installed or installed == program.sha256:
        return CheckResult("program", True, f"{program.path} becomes {PROGRAM}")
    what = f"another Danube is installed at {PROGRAM}"
    return CheckResult("program", False, what, f"danube upgrade {program.path}")


FOREIGN_FILES = (f"{UNIT_DIRECTORY}/danube.service", f"{UNIT_DIRECTORY}/danube.socket", PROGRAM)
