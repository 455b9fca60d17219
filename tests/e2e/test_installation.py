"""Danube as a service of a real systemd: installed, restarted and killed while jobs run, and taken away."""

import json
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from build_steps.signing import write_checksums
from build_steps.staging import python_tag
from danube_pkg import __version__
from danube_pkg.adapters.keys.signing import public_key_of
from danube_pkg.adapters.store.migrations import MIGRATIONS
from tests.support.debian_system import DebianSystem, debian_system
from tests.support.released import KEY, NEWER_VERSION, ReleasedPrograms, released_programs, write_provenance
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

DOCUMENTS = Path(__file__).parents[2] / "docs"

COUNTER = """
from danube import pipeline, step

@pipeline(name="counter")
def build():
    step.run("i=0; while [ $i -lt 300 ]; do echo line-$i; i=$((i+1)); sleep 0.05; done", name="count")
"""

PIPELINE = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: counter}
spec: {repository: /srv/counter, triggers: [{on: manual}]}
"""

NEXT_STEPS = (
    "The plan:",
    "danube init --config",
    "ssh-ed25519 ",
    "http://127.0.0.1:8080",
    "TLS. ",
    "danube image load FILE",
)
"""What an installation says."""

GONE = {"CAP_SYSLOG", "CAP_SYS_TIME"}
"""Capabilities that the document names as taken away."""

CLIENT = """
import http.client, select, sys, time
refused, answered, end = [], 0, time.monotonic() + 900
while time.monotonic() < end and not select.select([sys.stdin], [], [], 0.02)[0]:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=300)
        connection.request("POST", "/hooks/github", body=b"{}", headers={"X-GitHub-Event": "push"})
        connection.getresponse().read()
        answered += 1
    except (ConnectionRefusedError, TimeoutError) as error:
        refused.append(repr(error))
    except (ConnectionResetError, http.client.RemoteDisconnected):
        pass  # the server was killed after it had accepted: a forge sends it again
    finally:
        connection.close()
print(answered, refused)
"""
"""Sends deliveries until its standard input is closed, then prints how many were answered, and which met a closed
port."""


def give(system: DebianSystem, program: Path, name: str, *, signed: bool = True) -> None:
    """Put a program into root's home, with its signature."""
    place = system.root / "root" / name
    shutil.copy2(program, place)
    if signed:
        write_provenance(place)


@pytest.fixture(scope="module")
def programs() -> ReleasedPrograms:
    return released_programs()


@pytest.fixture(scope="module")
def booted(programs: ReleasedPrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianSystem]:
    with debian_system(tmp_path_factory.mktemp("system") / "machine") as system:
        give(system, programs.present, "danube", signed=False)
        yield system


@pytest.fixture
def system(booted: DebianSystem) -> Iterator[DebianSystem]:
    """Without Danube before and after."""
    booted.run("./danube", "uninstall", "--yes", check=False)
    yield booted
    booted.run("./danube", "uninstall", "--yes", check=False)


@pytest.fixture
def installed(booted: DebianSystem) -> DebianSystem:
    """With Danube installed by its script, which may have served tests before: an installation takes a while."""
    healthy = booted.run("danube", "health", check=False).returncode == 0
    if not healthy or booted.run("danube", "--version").stdout != f"danube {__version__}\n":
        booted.run("./danube", "uninstall", "--yes", check=False)
        install_by_script(booted)
    add_pipeline(booted)
    return booted


def install_by_script(system: DebianSystem) -> None:
    """As `curl … | sh` does it, from a release that a web server on the system's loopback has."""
    release, place = system.root / "root" / "release", "/root/release"
    release.mkdir(exist_ok=True)
    program = release / f"danube-linux-{platform.machine()}"
    shutil.copy2(system.root / "root" / "danube", program)
    write_checksums(release)
    (release / "SHA256SUMS.sig").write_bytes(KEY.sign((release / "SHA256SUMS").read_bytes()))
    (release / "key.pem").write_text(public_key_of(KEY.public_key()).pem)
    shutil.copy2(DOCUMENTS.parent / "deploy" / "install.sh", release / "install.sh")
    url, serve = "http://127.0.0.1:8099", ("python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", place)
    system.run("systemd-run", "--quiet", "--collect", "--unit=release", *serve, "8099")
    wait_until(lambda: system.run("curl", "-sf", f"{url}/key.pem", check=False).returncode == 0, 60, "the release")
    piped = (
        f"curl -sf {url}/install.sh | DANUBE_URL={url} DANUBE_KEY={place}/key.pem sh -s -- --yes --host-images allow"
    )
    system.run("sh", "-c", piped)
    system.run("systemctl", "stop", "release")


def install(system: DebianSystem, program: str = "./danube") -> None:
    system.run(program, "install", "--yes", "--host-images", "allow")
    add_pipeline(system)


def add_pipeline(system: DebianSystem) -> None:
    system.write("/srv/counter/danubefile.py", COUNTER)
    system.write("/etc/danube/config/pipelines/counter.yaml", PIPELINE)
    system.run("danube", "config", "sync")


class Deliveries:
    """A client that sends deliveries until it is stopped."""

    def __init__(self, system: DebianSystem) -> None:
        self._client = system.start("python3", "-c", CLIENT)

    @cached_property
    def results(self) -> tuple[int, str]:
        """(how many were answered, which met a closed port); stops it."""
        output, _ = self._client.communicate(timeout=400)
        answered, _, refused = output.strip().partition(" ")
        return int(answered), refused


@pytest.fixture
def deliveries(installed: DebianSystem) -> Iterator[Deliveries]:
    client = Deliveries(installed)
    yield client
    assert client.results


def trigger(system: DebianSystem) -> str:
    return str(json.loads(system.run("danube", "trigger", "counter", "--json").stdout)["id"])


def log(system: DebianSystem, job: str) -> str:
    return system.run("danube", "logs", job).stdout


def end_of(system: DebianSystem, job: str) -> str:
    def status() -> str:
        found = json.loads(system.run("danube", "jobs", "--json").stdout)
        return str(next(one["status"] for one in found if one["id"] == job))

    wait_until(lambda: status() not in ("pending", "running"), 300, f"{job} to end")
    return status()


def assert_whole(system: DebianSystem, job: str) -> None:
    """The job is green, and no line of its log is lost or doubled."""
    assert end_of(system, job) == "success", system.run("danube", "explain", job).stdout + log(system, job)[-2000:]
    assert re.findall(r"line-(\d+)\n", log(system, job)) == [str(number) for number in range(300)]


def processes_in(system: DebianSystem, unit: str, *words: str) -> list[str]:
    """The command lines of the processes of a unit, with one of the words if there are any."""
    found = system.run("systemd-cgls", "--no-pager", "--full", f"/danube.slice/{unit}").stdout.splitlines()
    return [line for line in found if re.match(r"\W*\d+ ", line) and (not words or any(one in line for one in words))]


def documented_commands(name: str) -> list[str]:
    """The blocks of shell commands in a document."""
    return re.findall(r"^```sh\n(.*?)^```$", (DOCUMENTS / name).read_text(), re.MULTILINE | re.DOTALL)


def test_systems_beside_each_other_share_no_control_group(booted: DebianSystem) -> None:
    """systemd would keep, and end, what belongs to units of the same name in another one."""
    own = [group for group in booted.control_groups() if group.endswith("/init.scope")]
    assert own
    assert all(re.fullmatch(r"\d+:(name=systemd)?:/danube-test-\d+-\d+/payload/init\.scope", group) for group in own)


def test_every_command_of_the_document_works_and_nothing_is_left(system: DebianSystem) -> None:
    before = system.tree()
    *blocks, uninstalling = documented_commands("install.md")
    printed = "".join(system.run("sh", "-e", "-c", block).stdout for block in blocks)
    for text in NEXT_STEPS:
        assert text in printed
    installed = system.tree()
    second = system.run("danube", "install", "--yes", "--json")
    assert json.loads(second.stdout)["changed"] is False
    assert {path: state for path, state in system.tree().items() if not path.startswith("/var/lib/danube/")} == {
        path: state for path, state in installed.items() if not path.startswith("/var/lib/danube/")
    }
    assert installed["/var/lib/danube/danube.sock"].startswith("140600 0:0")
    assert installed["/var/lib/danube/keys/encryption.key"].startswith("100600 0:0")
    assert installed["/var/lib/danube"].startswith("40700 0:0")
    assert "bind_address" in system.run("cat", "/etc/danube/danube.toml").stdout
    system.run("rm", "-r", "danube-config")
    system.run("sh", "-e", "-c", uninstalling)
    assert system.tree() == before
    units = system.run("systemctl", "list-units", "--all", "--plain", "--no-legend").stdout.splitlines()
    assert [unit for unit in units if "danube" in unit] == []
    assert system.run("pgrep", "-f", "danube", check=False).stdout == ""


def test_an_installation_that_was_killed_continues_or_is_taken_back(system: DebianSystem) -> None:
    before = system.tree()
    for seconds in ("1.5", "2.5", "4"):
        system.run("timeout", "--signal=KILL", seconds, "./danube", "install", "--yes", check=False)
    system.run("timeout", "--signal=KILL", "1", "./danube", "uninstall", "--yes", check=False)
    system.run("./danube", "uninstall", "--yes", check=False)
    assert system.tree() == before
    system.run("timeout", "--signal=KILL", "2", "./danube", "install", "--yes", check=False)
    system.run("./danube", "install", "--yes")
    assert system.run("danube", "health").returncode == 0


def test_an_ordinary_user_runs_the_server_and_no_other_user_reaches_its_socket(system: DebianSystem) -> None:
    before = system.tree()
    system.run("./danube", "install", "--yes", "--user", "danube", "--host-images", "allow")
    assert "User=danube" in system.run("systemctl", "cat", "danube.service").stdout
    assert system.tree()["/var/lib/danube/danube.sock"].startswith("140600 ")
    assert system.run("systemctl", "show", "--value", "-p", "MainPID", "danube.service").stdout.strip() != "0"
    refused = system.run("setpriv", "--reuid=33", "--regid=33", "--clear-groups", "curl", "--silent", "--fail",
                         "--unix-socket", "/var/lib/danube/danube.sock", "http://danube/health", check=False)  # fmt: skip
    assert refused.returncode != 0
    system.run("danube", "uninstall", "--yes")
    after = {path: state for path, state in system.tree().items() if not path.endswith("-")}  # useradd's own copies
    assert after == {path: state for path, state in before.items() if not path.endswith("-")}


def test_a_zipapp_is_installed_and_takes_the_data_over_that_was_kept(
    system: DebianSystem, programs: ReleasedPrograms
) -> None:
    version = system.run("python3", "-c", "import sys; print('cp%d%d' % sys.version_info[:2])").stdout.strip()
    assert version == python_tag(), f"run the tests with the Debian's Python, not {sys.version}"
    give(system, programs.zipapp, "danube.pyz", signed=False)
    install(system, "./danube.pyz")
    job = trigger(system)
    assert_whole(system, job)
    removed = system.run("danube", "uninstall", "--keep-data", "--yes").stdout
    assert "kept:\n" in removed
    assert "/var/lib/danube," in removed
    left = system.tree()
    assert not {"/usr/local/bin/danube", "/etc/systemd/system/danube.service", "/var/cache/danube"} & left.keys()
    install(system, "./danube.pyz")
    assert_whole(system, job)
    again = system.run("danube", "uninstall", "--yes").stdout
    older = "/var/lib/danube /etc/danube"
    assert f"older than this installation, and kept; if it is not needed: rm -r {older}\n" in again
    system.run("rm", "-r", *older.split())


def test_each_option_that_is_left_out_is_explained(installed: DebianSystem) -> None:
    """By `systemd-analyze security`, whose score is printed."""
    system = installed
    report = system.run("systemd-analyze", "security", "--no-pager", "danube.service").stdout
    print(report.splitlines()[-1])
    explained = (DOCUMENTS.parent / "deploy" / "hardening.md").read_text()
    lacking = [line.split()[1] for line in report.splitlines() if line.startswith("✗")]
    assert lacking
    for option in lacking:
        assert f"`{option.partition('=')[0]}=" in explained, option
    kept = system.run("systemctl", "show", "--value", "--property=CapabilityBoundingSet", "danube.service").stdout
    assert {one.upper() for one in kept.split()} == set(re.findall(r"`(CAP_\w+)`", explained)) - GONE


def test_restarts_and_kills_lose_no_job_and_refuse_no_delivery(installed: DebianSystem, deliveries: Deliveries) -> None:
    system = installed
    job = trigger(system)
    wait_until(lambda: "line-20\n" in log(system, job), 300, "the job to print")
    kill = ("kill", "--signal=KILL", "--kill-whom=main")
    assert len(processes_in(system, "danube-pods.slice/danube-pods.service")) > len({"coordinator", "worker", "proxy"})
    for unit in ("danube.service", "danube-pods.service"):
        for words in (("restart",), kill, ("restart",), kill):
            system.run("systemctl", *words, unit)
            system.run("danube", "health", check=False)
    assert not processes_in(system, "danube.service", "coordinator", "egress", "danube-step")
    assert_whole(system, job)
    answered, refused = deliveries.results
    assert refused == "[]"
    assert answered > 10


def test_an_upgrade_that_fails_goes_back_and_the_job_continues(
    installed: DebianSystem, deliveries: Deliveries, programs: ReleasedPrograms
) -> None:
    system = installed
    give(system, programs.broken, "danube-broken")
    before = system.tree()
    job = trigger(system)
    wait_until(lambda: "line-20\n" in log(system, job), 300, "the job to print")
    failed = system.run("danube", "upgrade", "danube-broken", "--yes", check=False)
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert "as a test wants it" in failed.stderr
    assert system.run("danube", "--version").stdout == f"danube {__version__}\n"
    assert_whole(system, job)
    assert deliveries.results[1] == "[]"
    after, own = system.tree(), ("/var/lib/danube", "/var/cache/danube", "/root/danube-broken")
    assert {path: text for path, text in after.items() if not path.startswith(own)} == {
        path: text for path, text in before.items() if not path.startswith(own)
    }
    with (system.root / "root" / "danube-broken").open("ab") as program:
        program.write(b"!")
    forged = system.run("danube", "upgrade", "danube-broken", "--yes", check=False)
    assert "is not signed by a key that this Danube trusts" in forged.stderr


def test_an_upgrade_continues_jobs_and_refuses_no_delivery(
    installed: DebianSystem, programs: ReleasedPrograms, deliveries: Deliveries
) -> None:
    """With every command of the document."""
    system = installed
    give(system, programs.newer, "danube-new", signed=False)
    trying, upgrading, renewing = documented_commands("upgrade.md")
    assert "there is no provenance" in system.run("danube", "upgrade", "danube-new", "--yes", check=False).stderr
    give(system, programs.newer, "danube-new")
    assert f"danube {NEWER_VERSION}; danube-new is signed" in system.run("sh", "-e", "-c", trying).stdout
    job = trigger(system)
    wait_until(lambda: "line-20\n" in log(system, job), 300, "the job to print")
    system.run("sh", "-e", "-c", upgrading)
    assert system.run("danube", "--version").stdout == f"danube {NEWER_VERSION}\n"
    assert json.loads(system.run("danube", "migrate", "--check", "--json").stdout) == {
        "schema": len(MIGRATIONS) + 1,
        "program": len(MIGRATIONS) + 1,
    }
    assert_whole(system, job)
    assert deliveries.results[1] == "[]"
    system.run("sh", "-e", "-c", renewing)
    give(system, programs.present, "danube-old")
    older = system.run("danube", "upgrade", "danube-old", "--yes", check=False)
    assert "--allow-downgrade" in older.stderr
    assert system.run("danube", "--version").stdout == f"danube {NEWER_VERSION}\n"
