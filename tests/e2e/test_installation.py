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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from build_steps.binary import build_tree, pack
from build_steps.staging import compile_tree, make_staging, python_tag
from build_steps.supervisor import PROGRAMS, build_stub, build_supervisor
from build_steps.zipapp import build_zipapp, install_dependencies
from danube_pkg import __version__
from danube_pkg.adapters.store.migrations import MIGRATIONS
from danube_pkg.kit.digests import digest_of_file
from tests.support.debian_system import DebianSystem, debian_system
from tests.support.releases import release_provenance
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

GONE = {"CAP_SYSLOG", "CAP_SYS_TIME"}
"""Capabilities that the document names as taken away."""

CLIENT = """
import http.client, sys, time
refused, answered, end = [], 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
        connection.request("POST", "/hooks/github", body=b"{}", headers={"X-GitHub-Event": "push"})
        connection.getresponse().read()
        answered += 1
    except (ConnectionRefusedError, TimeoutError) as error:
        refused.append(repr(error))
    except (ConnectionResetError, http.client.RemoteDisconnected):
        pass  # the server was killed after it had accepted: a forge sends it again
    finally:
        connection.close()
    time.sleep(0.02)
print(answered, refused)
"""
"""Sends deliveries all the time, and prints how many were answered, and which met a closed port."""


class Release:
    """Released programs of this tree, with a Python of their own and without the page: as it is, a newer version with
    one more migration, and one whose trial fails. They pin the key that signs them. zipapp: the first as a zipapp."""

    def __init__(self, directory: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self._directory = directory
        programs = {build_supervisor(name).parent for name in PROGRAMS}.pop()
        staging = make_staging(directory / "staging", {platform.machine(): programs})
        install_dependencies(staging)
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (staging / "danube_pkg" / "release_key.pem").write_bytes(public)
        self.zipapp = build_zipapp(staging, directory / "danube.pyz")
        self._tree = build_tree(staging, directory / "tree")
        self._package = self._tree / "site" / "danube_pkg"
        self.present = self._pack("present")

    @cached_property
    def newer(self) -> Path:
        self._replace("__init__.py", f'__version__ = "{__version__}"', '__version__ = "99.0.0"')
        with (self._package / "adapters" / "store" / "migrations.py").open("a") as migrations:
            migrations.write('MIGRATIONS = (*MIGRATIONS, "CREATE TABLE newer (a INTEGER) STRICT;")\n')
        return self._pack("newer")

    @cached_property
    def broken(self) -> Path:
        assert self.newer.exists()
        opened = "    async with AsyncExitStack()"
        self._replace("bootstrap/trial.py", opened, f"    raise OSError('as a test wants it')\n{opened}")
        return self._pack("broken")

    def _pack(self, name: str) -> Path:
        compile_tree(self._tree)
        pack(self._tree, build_stub(platform.machine(), for_release=False), self._directory / name)
        return self._directory / name

    def _replace(self, name: str, old: str, new: str) -> None:
        path = self._package / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def give(self, system: DebianSystem, program: Path, name: str, *, signed: bool = True) -> None:
        """Put a program into root's home, with its signature."""
        shutil.copy2(program, system.root / "root" / name)
        if signed:
            provenance = release_provenance(self.key, name, digest_of_file(program).sha256)
            (system.root / "root" / f"{name}.intoto.jsonl").write_bytes(provenance)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def booted(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianSystem]:
    with debian_system(tmp_path_factory.mktemp("system") / "machine") as system:
        release.give(system, release.present, "danube", signed=False)
        yield system


@pytest.fixture
def system(booted: DebianSystem) -> Iterator[DebianSystem]:
    """Without Danube before and after."""
    yield booted
    booted.run("./danube", "uninstall", "--yes", check=False)


def install(system: DebianSystem, program: str = "./danube") -> None:
    system.run(program, "install", "--yes", "--host-images", "allow")
    system.write("/srv/counter/danubefile.py", COUNTER)
    system.write("/etc/danube/config/pipelines/counter.yaml", PIPELINE)
    system.run("danube", "config", "sync")


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


def test_every_command_of_the_document_works_and_nothing_is_left(system: DebianSystem) -> None:
    before = system.tree()
    *blocks, uninstalling = documented_commands("install.md")
    for block in blocks:
        system.run("sh", "-e", "-c", block)
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
    assert "danube" not in system.run("systemctl", "list-units", "--all", "--plain", "--no-legend").stdout
    assert system.run("pgrep", "-f", "danube", check=False).stdout == ""


def test_restarts_and_kills_lose_no_job_and_refuse_no_delivery(system: DebianSystem) -> None:
    install(system)
    client = system.start("python3", "-c", CLIENT, "30")
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
    output, _ = client.communicate(timeout=300)
    answered, _, refused = output.strip().partition(" ")
    assert refused == "[]"
    assert int(answered) > 10


def test_a_zipapp_is_installed_and_runs_a_job(system: DebianSystem, release: Release) -> None:
    version = system.run("python3", "-c", "import sys; print('cp%d%d' % sys.version_info[:2])").stdout.strip()
    assert version == python_tag(), f"run the tests with the Debian's Python, not {sys.version}"
    release.give(system, release.zipapp, "danube.pyz", signed=False)
    install(system, "./danube.pyz")
    assert_whole(system, trigger(system))


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


def test_an_upgrade_continues_jobs_and_refuses_no_delivery(system: DebianSystem, release: Release) -> None:
    """With every command of the document."""
    install(system)
    release.give(system, release.newer, "danube-new", signed=False)
    trying, upgrading, renewing = documented_commands("upgrade.md")
    assert "there is no provenance" in system.run("danube", "upgrade", "danube-new", "--yes", check=False).stderr
    release.give(system, release.newer, "danube-new")
    assert "danube 99.0.0; danube-new is signed" in system.run("sh", "-e", "-c", trying).stdout
    client, job = system.start("python3", "-c", CLIENT, "30"), trigger(system)
    wait_until(lambda: "line-20\n" in log(system, job), 300, "the job to print")
    system.run("sh", "-e", "-c", upgrading)
    assert system.run("danube", "--version").stdout == "danube 99.0.0\n"
    assert json.loads(system.run("danube", "migrate", "--check", "--json").stdout) == {
        "schema": len(MIGRATIONS) + 1,
        "program": len(MIGRATIONS) + 1,
    }
    assert_whole(system, job)
    output, _ = client.communicate(timeout=300)
    assert output.strip().partition(" ")[2] == "[]"
    system.run("sh", "-e", "-c", renewing)
    release.give(system, release.present, "danube-old")
    older = system.run("danube", "upgrade", "danube-old", "--yes", check=False)
    assert "--allow-downgrade" in older.stderr
    assert system.run("danube", "--version").stdout == "danube 99.0.0\n"


def test_an_upgrade_that_fails_goes_back_and_the_job_continues(system: DebianSystem, release: Release) -> None:
    install(system)
    release.give(system, release.broken, "danube-broken")
    before = system.tree()
    client, job = system.start("python3", "-c", CLIENT, "30"), trigger(system)
    wait_until(lambda: "line-20\n" in log(system, job), 300, "the job to print")
    failed = system.run("danube", "upgrade", "danube-broken", "--yes", check=False)
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert "as a test wants it" in failed.stderr
    assert system.run("danube", "--version").stdout == f"danube {__version__}\n"
    assert_whole(system, job)
    output, _ = client.communicate(timeout=300)
    assert output.strip().partition(" ")[2] == "[]"
    after, own = system.tree(), ("/var/lib/danube", "/var/cache/danube", "/root/danube-broken")
    assert {path: text for path, text in after.items() if not path.startswith(own)} == {
        path: text for path, text in before.items() if not path.startswith(own)
    }
    with (system.root / "root" / "danube-broken").open("ab") as program:
        program.write(b"!")
    forged = system.run("danube", "upgrade", "danube-broken", "--yes", check=False)
    assert "is not signed by a key that this Danube trusts" in forged.stderr


def test_each_option_that_is_left_out_is_explained(system: DebianSystem) -> None:
    """By `systemd-analyze security`, whose score is printed."""
    system.run("./danube", "install", "--yes")
    report = system.run("systemd-analyze", "security", "--no-pager", "danube.service").stdout
    print(report.splitlines()[-1])
    explained = (DOCUMENTS.parent / "deploy" / "hardening.md").read_text()
    lacking = [line.split()[1] for line in report.splitlines() if line.startswith("✗")]
    assert lacking
    for option in lacking:
        assert f"`{option.partition('=')[0]}=" in explained, option
    kept = system.run("systemctl", "show", "--value", "--property=CapabilityBoundingSet", "danube.service").stdout
    assert {one.upper() for one in kept.split()} == set(re.findall(r"`(CAP_\w+)`", explained)) - GONE
