"""Exported jobs: verified as they are, and refused after one changed line, exit code or contact."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.keys.signing import SigningKeys
from danube_pkg.adapters.logs import files
from danube_pkg.core.egress.ledger import Contact, Way
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.errors import Conflict
from danube_pkg.core.jobs.sealed_records import LOG, SealedRecord, first_hash, next_hash, sealed_bytes
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.sealed_job import (
    EGRESS_MEMBER,
    LOG_MEMBER,
    PROVENANCE_MEMBER,
    RECORDS_MEMBER,
    decode_records,
    encode_records,
)
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from danube_pkg.services.jobs import sealing
from tests.fakes.machine import FakeMachine
from tests.fakes.processes import Exit, Print, plays
from tests.services.jobs.test_coordination import asked, running_job
from tests.services.provenance.test_statements import ended
from tests.support.command_line import run_command
from tests.support.engine import EngineSetup, open_engine_setup
from tests.support.waiting import wait_until_async

Members = dict[str, bytes]


def unpacked(archive: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {one.name: tar.extractfile(one) for one in tar}
        return {name: file.read() for name, file in found.items() if file is not None}


def packed(members: Members) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


class Export:
    """An exported job and the server's key, in a folder without a server."""

    def __init__(self, path: Path, members: Members, keys: SigningKeys) -> None:
        self.path = path
        self.members = members
        (path / "key.pem").write_text(keys.current.pem)

    def verify(self, members: Members, code: int, key: str = "key.pem") -> str:
        (self.path / "job.tar").write_bytes(packed(members))
        words = ["verify", "--job", "job.tar", "--key", key]
        done = run_command(words, b"", {}, self.path)
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout if code < 2 else done.stderr)


@pytest.fixture
async def export(tmp_path: Path) -> Export:
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n" * 30_000))
    machine.commands["try"] = plays(Exit(3))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        await setup.coordination.run_step(job_id, asked("make"))
        await setup.coordination.run_step(job_id, replace(asked("try", 2), check=False))
        contact = Contact(1.0, "c1", Way.CONNECT, 1, "packages.example.org", 443, Verdict.ALLOWED, EgressReason.LISTED)
        FileLedgers(tmp_path / "logs").append(job_id, contact)
        with pytest.raises(Conflict, match="not released"):
            await setup.exports.export(setup.engine.active_job(job_id).job)
        job = await ended(setup, job_id)
        FileLedgers(tmp_path / "logs").append(job_id, replace(contact, connection="later"))
        archive = b"".join([part async for part in await setup.exports.export(job)])
        return Export(tmp_path, unpacked(archive), setup.signing)


def test_an_export_is_verified_without_a_server(export: Export) -> None:
    assert b"later" not in export.members[EGRESS_MEMBER], "what follows the seal is not exported"
    shown = export.verify(export.members, 0)
    assert "3 ended attempts" in shown
    assert "verified job.tar" in shown


def _exit_code(members: Members) -> None:
    members[RECORDS_MEMBER] = members[RECORDS_MEMBER].replace(b'\\"exitCode\\":3', b'\\"exitCode\\":0')


def _exit_code_with_a_new_chain(members: Members) -> None:
    records = decode_records(members[RECORDS_MEMBER])
    statement = json.loads(read_envelopes(members[PROVENANCE_MEMBER])[0].payload)
    before = first_hash(statement["predicate"]["runDetails"]["metadata"]["invocationId"])
    made = []
    for record in records:
        content = record.content.replace('"exitCode":3', '"exitCode":0')
        before = next_hash(before, content)
        made.append(SealedRecord(content, before))
    members[RECORDS_MEMBER] = encode_records(made)


def _last_records(members: Members) -> None:
    members[RECORDS_MEMBER] = b"\n".join(members[RECORDS_MEMBER].splitlines()[:-1]) + b"\n"


def _line(members: Members) -> None:
    members[LOG_MEMBER] = members[LOG_MEMBER].replace(b"made", b"MADE", 1)


def _contact(members: Members) -> None:
    members[EGRESS_MEMBER] = members[EGRESS_MEMBER].replace(b"packages.example.org", b"packages.example.com")


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (_exit_code, "chain"),
        (_exit_code_with_a_new_chain, "end of chain"),
        (_last_records, "end of chain"),
        (_line, "log"),
        (lambda one: one.update({LOG_MEMBER: one[LOG_MEMBER][:-1]}), "log"),
        (_contact, "egress ledger"),
        (lambda one: one.update({EGRESS_MEMBER: b""}), "egress ledger"),
    ],
)
def test_one_change_is_found(export: Export, change: Callable[[Members], None], check: str) -> None:
    members = dict(export.members)
    change(members)
    assert members != export.members
    refused = [line for line in export.verify(members, 1).splitlines() if line.startswith("REFUSED")]
    assert len(refused) == 1
    assert refused[0].removeprefix("REFUSED").strip().startswith(check)


async def test_the_log_is_sealed_while_the_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is changed before the job ends is in the signed hash of the whole log, and is found nevertheless."""
    monkeypatch.setattr(sealing, "SHORTEST_SECONDS", 0.02)
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n"))
    for number, changed in enumerate((False, True)):
        path = tmp_path / str(number)
        path.mkdir()
        async with open_engine_setup(path, machine) as setup:
            job_id = await running_job(setup)
            await setup.coordination.run_step(job_id, asked("make"))

            def is_sealed(id_: str = job_id, setup: EngineSetup = setup) -> bool:
                records = setup.engine.active_job(id_).job.records
                return sealed_bytes(records, LOG) == setup.logs.size(id_) > 0

            await wait_until_async(is_sealed, 20, "the log to be sealed")
            if changed:
                log = setup.logs.path(job_id)
                log.write_bytes(log.read_bytes().replace(b"made", b"MADE"))
            job = await ended(setup, job_id)
            archive = b"".join([part async for part in await setup.exports.export(job)])
            export = Export(path, unpacked(archive), setup.signing)
            shown = export.verify(export.members, 1 if changed else 0)
            assert ("not those that were sealed while the job ran" in shown) is changed, shown


async def test_what_is_sealed_is_on_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power failure must not leave a seal over bytes that are gone: it would look as if the log had been changed."""
    monkeypatch.setattr(sealing, "SHORTEST_SECONDS", 0.02)
    on_disk: dict[Path, int] = {}

    def synced(*paths: Path) -> None:
        on_disk.update({path: path.stat().st_size for path in paths if path.exists()})

    monkeypatch.setattr(files, "sync_files", synced)
    machine = FakeMachine()
    machine.commands["make"] = plays(Print(b"made\n"))
    async with open_engine_setup(tmp_path, machine) as setup:
        job_id = await running_job(setup)
        await setup.coordination.run_step(job_id, asked("make"))
        sealed: list[int] = []

        def is_sealed() -> bool:
            sealed.append(sealed_bytes(setup.engine.active_job(job_id).job.records, LOG))
            assert sealed[-1] <= on_disk.get(setup.logs.path(job_id), 0)
            return sealed[-1] == setup.logs.size(job_id) > 0

        await wait_until_async(is_sealed, 20, "the log to be sealed")
        await ended(setup, job_id)


def test_another_key_is_refused(export: Export) -> None:
    (export.path / "other.pem").write_text(SigningKeys.open(export.path / "other", SystemClock()).current.pem)
    assert "has not signed it" in export.verify(export.members, 1, "other.pem")


def test_what_is_not_an_export_is_exit_code_3(export: Export) -> None:
    for broken in ({}, {"x": b""}, {PROVENANCE_MEMBER: b"{}"}, {**export.members, RECORDS_MEMBER: b"3\n"}):
        assert "danube" in export.verify(broken, 3)
    (export.path / "job.tar").write_bytes(b"no archive")
    done = run_command(["verify", "--job", "job.tar", "--key", "key.pem"], b"", {}, export.path)
    assert done.returncode == 3
    assert "danube jobs export" in done.stderr
