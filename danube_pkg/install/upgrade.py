"""An upgrade: what is checked before, which steps follow, and when the way back is open.

Until the new program has begun to work on jobs, the way back restores program and database as they were, and nothing
that was accepted is lost: no server has accepted anything since they were saved. From then on the database belongs to
the new program, and only the program is put back, if the schema is the same.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.adapters.keys.signing import is_signed_by
from danube_pkg.core.errors import Conflict, Invalid, NotFound, Permanent
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.provenance.verification import verify_envelopes
from danube_pkg.install.execution import Report, carry_out, take_back
from danube_pkg.install.journal import STATE_DIRECTORY, InstallOptions, Journal, Step
from danube_pkg.install.plan import ProgramFile
from danube_pkg.install.ports import Machine
from danube_pkg.install.steps import AwaitServer, CopyProgram
from danube_pkg.install.units import PROGRAM
from danube_pkg.install.upgrade_steps import HoldServer, MigrateDatabase, SaveDatabase, StartServer, TryStart

CANDIDATE = f"{STATE_DIRECTORY}/candidate"
"""The copy of the new program that is verified and used, so that no other user can exchange it in between."""

BACKUP = f"{STATE_DIRECTORY}/before-upgrade.backup"
"""A whole backup with keys, for the administrator; the way back does not need it."""

COPY = f"{STATE_DIRECTORY}/upgrade/danube.db"

_VERSION = re.compile(r"danube (\d+)\.(\d+)\.(\d+)\S*")


def check_provenance(
    provenance: bytes, sha256: str, keys: Sequence[SigningKey], builders: tuple[str, ...], name: str
) -> None:
    """Raises Invalid for a program whose provenance no key has signed, or is about another one. builders: as in
    `danube verify --builder`; () for any."""
    envelopes = read_envelopes(provenance)
    verdict = verify_envelopes(envelopes, sha256, keys, is_signed_by, Expectations(builders=builders))
    if verdict.verified:
        return
    failed = next(one for one in verdict.checks if not one.passed)
    raise Invalid(
        "signature-invalid",
        f"{name} is not signed by a key that this Danube trusts",
        cause=f"{failed.name}: {failed.detail}",
        hint="download both files again; a build of your own needs its public key: danube upgrade FILE --key K",
    )


def check_version(old: str, new: str, *, allow_downgrade: bool) -> None:
    """Raises Invalid for an older version. old, new: what `danube --version` prints."""
    before, after = _numbers(old), _numbers(new)
    if after < before and not allow_downgrade:
        raise Invalid(
            "version-older",
            f"this is {new}, and {old} is installed",
            cause="an older program may have flaws that the newer one has not, and may not know the database",
            hint="danube upgrade FILE --allow-downgrade",
        )


def _numbers(text: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise Invalid("not-a-program", f"it says {text[:200]!r} in place of a version", hint="danube upgrade FILE")
    return tuple(map(int, found.groups()))


def plan_upgrade(machine: Machine, data: str, program: ProgramFile) -> Sequence[Step]:
    """The steps in their order. program: the new one's copy."""
    schema, began = machine.server.schema(data), machine.server.work_began(data)
    return [
        HoldServer(),
        SaveDatabase(data, COPY, schema, began),
        CopyProgram(program.path, PROGRAM, program.sha256),
        MigrateDatabase(data),
        TryStart(data),
        StartServer(),
        AwaitServer(data),
    ]


def perform(plan: Sequence[Step], options: InstallOptions, machine: Machine, journal: Journal, report: Report) -> None:
    """Carry the plan out; on any failure go back, and raise what failed. Raises Conflict where the way is closed."""
    try:
        carry_out(plan, machine, journal, options, report)
    except BaseException:
        go_back(machine, journal, report)
        raise
    journal.end()


def go_back(machine: Machine, journal: Journal, report: Report) -> None:
    """Put program and database back. Raises Conflict for a database that the new program has worked on."""
    saved = next((one.step for one in journal.entries if isinstance(one.step, SaveDatabase)), None)
    if saved is not None and _is_used(saved, machine):
        raise Conflict(
            "way-back-closed",
            "the new program has begun to work, and has changed the database's form, so it stays",
            cause="with the former database, what was accepted since would be lost",
            hint=f"read its log: journalctl -u danube; a backup of before is {BACKUP}",
        )
    take_back(machine, journal, report)


def _is_used(saved: SaveDatabase, machine: Machine) -> bool:
    """Whether another program than the former one has worked on a database that the former one cannot read."""
    has_changed = machine.server.schema(saved.data) != saved.schema
    return has_changed and machine.server.work_began(saved.data) != saved.work_began


def end_interrupted(machine: Machine, journal: Journal, report: Report) -> str:
    """End an upgrade that was interrupted: it is complete if the new server answers, and is taken back otherwise. What
    was done, "" where there was none."""
    if journal.content is None:
        return ""
    has_started = any(isinstance(one.step, StartServer) for one in journal.entries)
    if has_started and not journal.content.removing and machine.server.problem(journal.content.options.data) == "":
        journal.end()
        return "an interrupted upgrade was complete"
    go_back(machine, journal, report)
    return "an interrupted upgrade was taken back"


def require_installed(journal: Journal) -> InstallOptions:
    """What is installed here. Raises NotFound, Conflict."""
    content = journal.content
    if content is None:
        raise NotFound("not-installed", "no Danube is installed here", hint="danube install")
    if not content.complete:
        raise Conflict("installation-incomplete", "the installation was interrupted", hint="danube install")
    return content.options


def prepare_candidate(machine: Machine, source: str) -> Path:
    """Copy the new program to where only root may write."""
    machine.files.copy(source, CANDIDATE, 0o700)
    return Path(CANDIDATE)


def require_program(path: str) -> None:
    """Raises NotFound for a file that does not exist."""
    if not Path(path).is_file():
        raise NotFound(
            "file-missing", f"there is no file {path}", hint="name the downloaded program: danube upgrade FILE"
        )


def read_provenance(path: str) -> bytes:
    """The file beside the program. Raises Permanent."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Permanent(
            "signature-missing",
            f"there is no provenance {path}",
            cause=error.strerror or str(error),
            hint="download it too; it lies beside the program. Or name it: danube upgrade FILE --provenance P",
        ) from error
