"""What is checked before an installation, and which steps follow from the options."""

import tomllib

import pytest

from danube_pkg.core.errors import Invalid
from danube_pkg.install.facts import is_program
from danube_pkg.install.journal import InstallOptions, JournalContent
from danube_pkg.install.local_users import SUBORDINATE_IDS, free_range
from danube_pkg.install.plan import ProgramFile, checked_options, plan_installation, settings_text
from danube_pkg.install.preflight import MachineFacts, check_machine, program_differs
from danube_pkg.install.steps import CreateUser, MakeDirectory, WriteFile
from danube_pkg.install.units import unit_texts
from danube_pkg.kit.records import replace
from danube_pkg.ops.doctor import CheckResult

PROGRAM = ProgramFile("/root/danube", "00")
OPTIONS = InstallOptions()
FACTS = MachineFacts(
    is_root=True,
    systemd="252",
    cpus=2,
    memory_bytes=4 * 10**9,
    free_bytes=20 * 10**9,
    now=1_796_000_000.0,
    synchronized=True,
    listening=False,
)


def findings(facts: MachineFacts, known: JournalContent | None = None) -> dict[str, CheckResult]:
    return {one.name: one for one in check_machine(facts, OPTIONS, PROGRAM, known)}


def test_a_good_machine_has_no_hints() -> None:
    assert [one.name for one in findings(FACTS).values() if not one.ok or one.hint] == []


@pytest.mark.parametrize(
    ("facts", "name", "ok", "hint"),
    [
        (replace(FACTS, is_root=False), "root", False, "sudo danube install"),
        (replace(FACTS, systemd=""), "systemd", False, "danube serve"),
        (replace(FACTS, foreign=("/etc/systemd/system/danube.service",)), "earlier installation", False, "mv /etc"),
        (replace(FACTS, listening=True), "address", False, "--listen"),
        (replace(FACTS, cpus=1), "processors", True, "2 are recommended"),
        (replace(FACTS, memory_bytes=2 * 10**9), "memory size", True, "4 GB"),
        (replace(FACTS, free_bytes=10**9), "free space", True, "20 GB"),
        (replace(FACTS, now=0.0), "clock", False, "timedatectl"),
        (replace(FACTS, synchronized=False), "clock", True, "timedatectl"),
    ],
)
def test_what_is_missing_is_found_with_its_hint(facts: MachineFacts, name: str, ok: bool, hint: str) -> None:
    found = findings(facts)[name]
    assert found.ok is ok
    assert hint in found.hint
    assert all(one.ok for other, one in findings(facts).items() if other != name)


@pytest.mark.parametrize(
    ("known", "ok", "expected"),
    [
        (JournalContent("1", OPTIONS, complete=True), True, "is complete"),
        (JournalContent("1", OPTIONS), True, "was interrupted, and continues"),
        (JournalContent("1", OPTIONS, removing=True), False, "half removed"),
        (JournalContent("1", replace(OPTIONS, data="/srv/danube")), False, "other options"),
    ],
)
def test_an_earlier_installation_is_continued_or_named(known: JournalContent, ok: bool, expected: str) -> None:
    found = findings(replace(FACTS, listening=True, foreign=("/usr/local/bin/danube",)), known)
    assert (found["earlier installation"].ok, found["address"].ok) == (ok, True)
    assert expected in found["earlier installation"].what


def test_another_program_is_not_installed_over_the_first() -> None:
    assert program_differs(PROGRAM, "").ok
    assert program_differs(PROGRAM, "00").ok
    assert not program_differs(PROGRAM, "11").ok


@pytest.mark.parametrize(
    "path", ["relative", "/", "/etc", "/var/lib/../lib", "/srv/a b", "/srv/100%", "/srv/ä", "/x\n"]
)
def test_a_directory_of_the_machine_is_not_made_private(path: str) -> None:
    with pytest.raises(Invalid, match="cannot be the data directory"):
        checked_options(replace(OPTIONS, data=path))


@pytest.mark.parametrize(
    "address", ["8080", ":8080", "localhost:", "localhost:0", "localhost:99999", "a b:80", "%h:80"]
)
def test_an_address_that_no_unit_can_have_is_refused(address: str) -> None:
    with pytest.raises(Invalid, match="is not an address"):
        checked_options(replace(OPTIONS, listen=address))


@pytest.mark.parametrize("name", ["", "Root", "a b", "-x", "x" * 33])
def test_a_name_that_no_user_can_have_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="is not a user's name"):
        checked_options(replace(OPTIONS, user=name))


def test_each_directory_above_the_data_is_a_step() -> None:
    options = checked_options(replace(OPTIONS, data="/srv/ci/danube/", user="ci"))
    steps = plan_installation(options, PROGRAM, {"config.yaml": "", "pipelines/a.yaml": ""})
    directories = [step.path for step in steps if isinstance(step, MakeDirectory)]
    assert directories[directories.index("/srv") :][:3] == ["/srv", "/srv/ci", "/srv/ci/danube"]
    assert len(directories) == len(set(directories))
    assert [step.name for step in steps if isinstance(step, CreateUser)] == ["ci"]
    assert "/etc/danube/config/pipelines/a.yaml" in [step.path for step in steps if isinstance(step, WriteFile)]


def test_a_repository_of_the_configuration_needs_no_starter() -> None:
    options = replace(OPTIONS, config_repo='https://git.example.org/"ops"', host_images=True)
    steps = plan_installation(options, PROGRAM, {"config.yaml": ""})
    assert not [step for step in steps if "config.yaml" in step.title]
    settings = tomllib.loads(settings_text(options))
    assert settings["config_repo"]["url"] == options.config_repo
    assert settings["images"]["host"] == "allow"
    assert tomllib.loads(settings_text(OPTIONS))["images"]["host"] == "refuse"


def test_units_name_data_user_and_address() -> None:
    texts = unit_texts("/srv/danube", "ci", "0.0.0.0:80")
    assert "ListenStream=/srv/danube/danube.sock\nSocketUser=ci\n" in texts["danube-admin.socket"]
    assert "ListenStream=0.0.0.0:80\n" in texts["danube.socket"]
    assert "User=ci\n" in texts["danube.service"]
    assert "SystemCallFilter" not in texts["danube.service"]  # it would imply NoNewPrivileges
    assert "SystemCallFilter" in unit_texts("/srv/danube", "root", "0.0.0.0:80")["danube.service"]


@pytest.mark.parametrize(
    ("text", "first"),
    [("", 524288), ("a:100000:65536\n", 524288), ("a:524288:65536\nb:589824:10", 589834), ("a:580000:1\nodd", 580001)],
)
def test_subordinate_ids_are_lent_once(text: str, first: int) -> None:
    assert free_range(text) == first
    assert first + SUBORDINATE_IDS < 1 << 31


def test_only_a_program_that_runs_by_itself_is_installed(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("program") / "danube"
    path.write_bytes(b"#!/usr/bin/env python3\nPK")
    assert not is_program(path)
    path.chmod(0o755)
    assert is_program(path)
    path.write_bytes(b"import sys")
    assert not is_program(path)
