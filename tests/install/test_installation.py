"""An installation succeeds, continues after a failure of any of its calls, and leaves nothing when it is taken back."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.core.errors import PlatformError
from danube_pkg.install.execution import StepChange, carry_out, take_back
from danube_pkg.install.journal import STATE_DIRECTORY, InstallOptions, Journal, Step
from danube_pkg.install.plan import ProgramFile, plan_installation
from danube_pkg.install.steps import UNITS
from danube_pkg.kit.digests import digest_of
from danube_pkg.kit.records import encode_json
from tests.fakes.installation import FakeMachine, FakeProgram

PROGRAM = b"#!/bin/danube\n" + encode_json(FakeProgram())
OPTIONS = InstallOptions(user="danube")

EVERY_CALL = pytest.mark.slow("each of some sixty calls of an installation fails once")


def planned(options: InstallOptions = OPTIONS) -> Sequence[Step]:
    program = ProgramFile("/root/danube", digest_of(PROGRAM).sha256)
    return plan_installation(options, program, {"config.yaml": "# starter", "pipelines/app.yaml": "# pipeline"})


def make(path: Path) -> FakeMachine:
    made = FakeMachine(path)
    made.write_program("/root/danube", FakeProgram())
    return made


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    return make(tmp_path / "machine")


def ignore(step: Step, outcome: StepChange) -> None:
    """A report that no test reads."""
    assert step.title


def install(fake: FakeMachine, options: InstallOptions = OPTIONS) -> bool:
    return carry_out(planned(options), fake.machine, Journal(fake.machine.files), options, ignore)


def uninstall(fake: FakeMachine, *, keep_data: bool = False) -> Sequence[Step]:
    return take_back(fake.machine, Journal(fake.machine.files), ignore, keep_data=keep_data)


def test_it_makes_a_service(fake: FakeMachine) -> None:
    assert install(fake)
    tree = fake.tree()
    assert tree["/usr/local/bin/danube"] == f"755 0:0 {PROGRAM.decode()}"
    assert tree["/var/lib/danube"] == "700 900:900 "
    assert 'host = "refuse"' in tree["/etc/danube/danube.toml"]
    assert "SocketMode=0600" in tree["/etc/systemd/system/danube-admin.socket"]
    assert fake.services()[:2] == (sorted(UNITS), sorted(UNITS))
    content = Journal(fake.machine.files).content
    assert content is not None
    assert content.complete
    assert all(entry.held for entry in content.entries)


def test_a_second_one_changes_nothing(fake: FakeMachine) -> None:
    install(fake)
    before, made = fake.tree(), len(fake.calls.made)
    assert not install(fake)
    assert fake.tree() == before
    assert fake.calls.made[made:] == []


def test_what_the_administrator_wrote_stays(fake: FakeMachine) -> None:
    install(fake)
    (fake.root / "etc/danube/danube.toml").write_text("# mine")
    assert not install(fake)
    assert (fake.root / "etc/danube/danube.toml").read_text() == "# mine"


def test_what_was_changed_by_others_is_repaired(fake: FakeMachine) -> None:
    install(fake)
    before = fake.tree()
    (fake.root / "usr/local/bin/danube").write_bytes(b"another")
    (fake.root / "etc/systemd/system/danube.service").unlink()
    fake.units.stop("danube.socket")
    (fake.root / "var/lib/danube").chmod(0o755)
    assert install(fake)
    assert {**fake.tree(), STATE_JOURNAL: ""} == {**before, STATE_JOURNAL: ""}
    assert "danube.socket" in fake.units.active


STATE_JOURNAL = f"{STATE_DIRECTORY}/journal.json"


def test_it_is_taken_back_whole(fake: FakeMachine) -> None:
    (fake.root / "etc/systemd/system/danube.socket").write_text("[Socket]")
    (fake.root / "var/cache/danube").mkdir(mode=0o755)
    fake.units.reload()
    before = fake.tree(), fake.services()
    install(fake)
    assert uninstall(fake) == []
    assert (fake.tree(), fake.services()) == before


def test_no_client_starts_the_server_again_while_it_is_taken_back(fake: FakeMachine) -> None:
    """A page that is open reconnects at once: a socket that is active would start the server for it."""
    fake.units.has_clients = True
    install(fake)
    uninstall(fake)
    assert fake.units.active == []
    assert fake.units.starts.count("danube.service") == 1


def test_the_data_stays_where_it_is_wanted(fake: FakeMachine) -> None:
    install(fake)
    (fake.root / "etc/danube/danube.toml").write_text("# mine")
    kept = uninstall(fake, keep_data=True)
    assert {getattr(step, "path", "") for step in kept} >= {"/var/lib/danube", "/etc/danube"}
    left = fake.tree()
    assert "/var/lib/danube/danube.db" in left
    assert not {"/usr/local/bin/danube", "/etc/systemd/system/danube.service", STATE_DIRECTORY} & set(left)
    install(fake)
    assert (fake.root / "etc/danube/danube.toml").read_text() == "# mine"


def changing_calls(path: Path) -> int:
    made = make(path)
    install(made)
    return len(made.calls.made)


@EVERY_CALL
@pytest.mark.parametrize("after", [False, True], ids=["fails", "killed-behind"])
def test_it_continues_after_a_failure_of_every_call(tmp_path: Path, *, after: bool) -> None:
    wanted = make(tmp_path / "wanted")
    install(wanted)
    for number in range(changing_calls(tmp_path / "counted")):
        fake = make(tmp_path / f"continued-{number}")
        failing(fake, number, after=after)
        install(fake)
        assert {**fake.tree(), STATE_JOURNAL: ""} == {**wanted.tree(), STATE_JOURNAL: ""}, fake.calls.made[number]
        assert fake.services() == wanted.services(), fake.calls.made[number]
        content = Journal(fake.machine.files).content
        assert content is not None
        assert content.complete


@EVERY_CALL
@pytest.mark.parametrize("after", [False, True], ids=["fails", "killed-behind"])
def test_it_is_taken_back_after_a_failure_of_every_call(tmp_path: Path, *, after: bool) -> None:
    before = make(tmp_path / "before")
    for number in range(changing_calls(tmp_path / "counted")):
        fake = make(tmp_path / f"back-{number}")
        failing(fake, number, after=after)
        uninstall(fake)
        assert fake.tree() == before.tree(), fake.calls.made[number]
        assert fake.services() == before.services(), fake.calls.made[number]


def failing(fake: FakeMachine, number: int, *, after: bool) -> None:
    """An installation in which that call fails."""
    fake.calls.fail_at, fake.calls.after = number, after
    with pytest.raises((PlatformError, OSError)):
        install(fake)
    fake.calls.fail_at = None


@EVERY_CALL
@pytest.mark.parametrize("after", [False, True], ids=["fails", "killed-behind"])
def test_taking_it_back_continues_after_a_failure_of_every_call(tmp_path: Path, *, after: bool) -> None:
    counted, before = make(tmp_path / "counted"), make(tmp_path / "before")
    install(counted)
    first = len(counted.calls.made)
    uninstall(counted)
    for number in range(first, len(counted.calls.made)):
        fake = make(tmp_path / f"removed-{number}")
        install(fake)
        fake.calls.fail_at, fake.calls.after = number, after
        with pytest.raises((PlatformError, OSError)):
            uninstall(fake)
        fake.calls.fail_at = None
        uninstall(fake)
        assert fake.tree() == before.tree(), fake.calls.made[number]
        assert fake.services() == before.services(), fake.calls.made[number]


def test_a_server_that_does_not_answer_is_named_and_stays_installed(fake: FakeMachine) -> None:
    fake.server.answers = False
    with pytest.raises(PlatformError, match="has not answered"):
        install(fake)
    content = Journal(fake.machine.files).content
    assert content is not None
    assert not content.complete
    fake.server.answers = True
    assert install(fake)
