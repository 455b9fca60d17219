"""An upgrade reaches the new program or goes back to the former one, whichever of its calls fails."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from danube_pkg.adapters.keys.signing import public_key_of
from danube_pkg.core.errors import Conflict, Invalid, NotFound, PlatformError
from danube_pkg.core.provenance.builders import RELEASE
from danube_pkg.install.execution import StepChange, carry_out
from danube_pkg.install.journal import STATE_DIRECTORY, InstallOptions, Journal, Step
from danube_pkg.install.plan import plan_installation
from danube_pkg.install.ports import Machine
from danube_pkg.install.upgrade import (
    CANDIDATE,
    check_provenance,
    check_version,
    end_interrupted,
    perform,
    plan_upgrade,
    require_installed,
)
from danube_pkg.install.upgrade_steps import DROP_IN_DIRECTORY
from danube_pkg.kit.digests import digest_of
from danube_pkg.kit.records import replace
from tests.fakes.installation import FakeDatabase, FakeMachine, FakeProgram
from tests.support.releases import release_provenance

OPTIONS = InstallOptions()
DATA = OPTIONS.data
DATABASE = f"{DATA}/danube.db"
OLD, NEW = FakeProgram("1.0.0", schema=1), FakeProgram("1.1.0", schema=2)


def installed(path: Path) -> FakeMachine:
    """A machine on which the old program serves, and the new one was verified."""
    made = FakeMachine(path)
    plan = plan_installation(OPTIONS, made.write_program("/root/danube", OLD), {})
    carry_out(plan, made.machine, Journal(made.machine.files), OPTIONS, ignore)
    made.calls.made.clear()
    return made


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return installed(tmp_path / "machine")


def ignore(step: Step, change: StepChange) -> None:
    """A report that no test reads."""
    assert step.title


def upgrade(fake: FakeMachine, program: FakeProgram = NEW) -> None:
    machine = fake.machine
    candidate = fake.write_program(CANDIDATE, program)
    plan = plan_upgrade(machine, DATA, candidate)
    perform(plan, OPTIONS, machine, Journal(machine.files, "upgrade"), ignore)


def state(fake: FakeMachine) -> Mapping[str, str]:
    """The tree without what each start changes and what an upgrade prepares."""
    found = dict(fake.tree())
    found.pop(CANDIDATE, None)
    database = fake.server._database(DATA)
    return {**found, DATABASE: f"{database.schema} {database.content}"}


def version(fake: FakeMachine) -> str:
    return fake.server.version("/usr/local/bin/danube")


def test_the_new_program_serves_the_migrated_database(fake: FakeMachine) -> None:
    upgrade(fake)
    assert (version(fake), fake.server.schema(DATA), fake.server.problem(DATA)) == ("danube 1.1.0", 2, "")
    assert not (fake.root / DROP_IN_DIRECTORY.lstrip("/")).exists()
    assert not (fake.root / f"{STATE_DIRECTORY}/upgrade".lstrip("/")).exists()


@pytest.mark.parametrize(
    "program",
    [replace(NEW, trial_problem="a key is missing"), replace(NEW, schema=1, answers=False)],
    ids=["fails its trial", "does not answer"],
)
def test_a_program_that_does_not_become_healthy_is_taken_back(fake: FakeMachine, program: FakeProgram) -> None:
    before = state(fake)
    with pytest.raises(PlatformError):
        upgrade(fake, program)
    assert state(fake) == before
    assert fake.server.problem(DATA) == ""
    assert Journal(fake.machine.files, "upgrade").content is None


def test_a_database_that_the_new_program_has_worked_on_is_not_replaced(fake: FakeMachine) -> None:
    with pytest.raises(Conflict, match="has begun to work"):
        upgrade(fake, replace(NEW, answers=False))
    assert (version(fake), fake.server.schema(DATA)) == ("danube 1.1.0", 2)
    machine = fake.machine
    with pytest.raises(Conflict):
        end_interrupted(machine, Journal(machine.files, "upgrade"), ignore)
    fake.write_program("/usr/local/bin/danube", NEW)  # the administrator repairs it
    assert "was complete" in end_interrupted(machine, Journal(machine.files, "upgrade"), ignore)
    assert end_interrupted(machine, Journal(machine.files, "upgrade"), ignore) == ""


def changing_calls(path: Path) -> int:
    made = installed(path)
    upgrade(made)
    return len(made.calls.made)


@pytest.mark.slow("each of some forty calls of an upgrade fails once")
def test_it_goes_back_after_a_failure_of_every_call(tmp_path: Path) -> None:
    for number in range(changing_calls(tmp_path / "counted")):
        fake = installed(tmp_path / f"back-{number}")
        before = state(fake)
        fake.calls.fail_at = number
        try:
            upgrade(fake)
        except Conflict:  # the new program had begun, and serves
            assert version(fake) == "danube 1.1.0", fake.calls.made
            assert fake.server.problem(DATA) == "", fake.calls.made
            continue
        except PlatformError:
            if version(fake) == "danube 1.0.0":
                assert state(fake) == before, fake.calls.made
            else:  # only the journal of a complete one is left
                end = end_interrupted(fake.machine, Journal(fake.machine.files, "upgrade"), ignore)
                assert "remove" in fake.calls.made[number], fake.calls.made
                assert end in ("", "an interrupted upgrade was complete")
        assert fake.server.problem(DATA) == "", fake.calls.made


def without_way_back(plan: Sequence[Step], machine: Machine) -> None:
    """An upgrade that is killed where it fails does nothing more."""
    carry_out(plan, machine, Journal(machine.files, "upgrade"), OPTIONS, ignore)
    Journal(machine.files, "upgrade").end()


@pytest.mark.slow("an upgrade is killed behind each of some forty calls")
def test_one_that_was_killed_at_any_call_is_ended_by_the_next(tmp_path: Path) -> None:
    ends = set()
    for number in range(changing_calls(tmp_path / "counted")):
        fake = installed(tmp_path / f"killed-{number}")
        before = state(fake)
        machine = fake.machine
        plan = plan_upgrade(machine, DATA, fake.write_program(CANDIDATE, NEW))
        fake.calls.fail_at, fake.calls.after = number, True
        with pytest.raises(PlatformError):
            without_way_back(plan, machine)
        fake.calls.fail_at = None
        end = end_interrupted(machine, Journal(machine.files, "upgrade"), ignore)
        ends.add(end)
        assert fake.server.problem(DATA) == "", fake.calls.made[number]
        if end != "an interrupted upgrade was complete" and version(fake) == "danube 1.0.0":
            left = {name: text for name, text in state(fake).items() if name != f"{STATE_DIRECTORY}/upgrade"}
            assert left == before, fake.calls.made[number]
        upgrade(fake)
        assert (version(fake), fake.server.schema(DATA)) == ("danube 1.1.0", 2)
    assert ends == {"", "an interrupted upgrade was taken back", "an interrupted upgrade was complete"}


def test_what_was_accepted_before_is_kept_by_the_way_back(fake: FakeMachine) -> None:
    fake.server.write(DATA, FakeDatabase(1, "9", "a job of the last second"))
    with pytest.raises(PlatformError):
        upgrade(fake, replace(NEW, trial_problem="it does not start"))
    assert fake.server._database(DATA).content == "a job of the last second"


def test_only_a_program_with_signed_provenance_is_accepted() -> None:
    private, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys, sha256 = [public_key_of(other.public_key()), public_key_of(private.public_key())], digest_of(b"it").sha256
    provenance = release_provenance(private, "danube", sha256)
    check_provenance(provenance, sha256, keys, (RELEASE,), "FILE")
    check_provenance(provenance, sha256, keys, (), "FILE")
    forged = (
        (provenance, digest_of(b"another").sha256, keys),
        (provenance, sha256, keys[:1]),
        (release_provenance(Ed25519PrivateKey.generate(), "danube", sha256), sha256, keys),
    )
    for wrong, digest, trusted in forged:
        with pytest.raises(Invalid, match="is not signed by a key that this Danube trusts"):
            check_provenance(wrong, digest, trusted, (RELEASE,), "FILE")
    with pytest.raises(PlatformError):
        check_provenance(provenance[:-9], sha256, keys, (RELEASE,), "FILE")


@pytest.mark.parametrize(("old", "new"), [("1.0.0", "1.0.0"), ("1.0.0", "1.0.1"), ("1.9.0", "1.10.0")])
def test_the_same_and_newer_versions_are_accepted(old: str, new: str) -> None:
    check_version(f"danube {old}", f"danube {new}\n", allow_downgrade=False)


def test_an_older_version_is_only_accepted_on_request() -> None:
    with pytest.raises(Invalid) as refused:
        check_version("danube 1.10.0", "danube 1.9.0", allow_downgrade=False)
    assert "--allow-downgrade" in refused.value.hint
    check_version("danube 1.10.0", "danube 1.9.0", allow_downgrade=True)
    with pytest.raises(Invalid, match="in place of a version"):
        check_version("danube 1.10.0", "hello", allow_downgrade=True)


def test_nothing_is_upgraded_where_nothing_is_installed(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        require_installed(Journal(FakeMachine(tmp_path / "empty").machine.files))
