"""People log in through the Dex that the server runs: it follows the configuration, and there is always exactly one."""

import http.client
import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin

import bcrypt
import pytest

from tests.e2e.world import DANUBE, World
from tests.fakes.dex import dex_program
from tests.support.waiting import wait_until

PASSWORDS = {"alice": "correct horse", "bob": "battery staple"}


class Form(HTMLParser):
    """The one form of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = found.get("action", "")
        if tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")


class Browser:
    """Keeps cookies, follows redirects, fills in forms."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, where it ended, the page."""
        request = urllib.request.Request(urljoin(self.base, url), urlencode(form).encode() if form else None)
        request.add_header("Accept", "text/html")
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.url, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.url or "", error.read().decode()

    def stream(self, path: str) -> http.client.HTTPResponse:
        """What is read as it comes."""
        answer = self._opener.open(self.base + path, timeout=20)
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    def fill_in(self, url: str, page: str, **fields: str) -> tuple[int, str, str]:
        form = Form(page)
        assert form.action is not None, page
        return self.open(urljoin(url, form.action), {**form.fields, **fields})

    def log_in(self, name: str, password: str = "") -> int:
        """The status in the end: 200 when the page of Danube is there."""
        status, url, page = self.open("/auth/login?return_to=/health")
        if status != 200:
            return status
        status, url, page = self.fill_in(url, page, login=f"{name}@example.com", password=password or PASSWORDS[name])
        assert status != 200 or url == f"{self.base}/health", url
        return status

    def who(self) -> str | None:
        """The name of who is logged in."""
        status, _, body = self.open("/api/v1/me")
        return str(json.loads(body)["name"]) if status == 200 else None


class DexWorld(World):
    """A server with a Dex behind a fixed address."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        port, dex, telemetry = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.people: dict[str, str] = {}
        (path / "danube.toml").write_text(
            f'[config_repo]\nurl = "config"\n\n[server]\nbind_address = "127.0.0.1:{port}"\nexternal_url = "{self.url}"\n\n'
            f'[dex]\nprogram = "{dex_program(path)}"\nlisten = "127.0.0.1:{dex}"\ntelemetry = "127.0.0.1:{telemetry}"\n'
        )

    def configure(self, **people: str) -> None:
        """name → password: those and nobody else, applied when this returns."""
        self.people = {
            name: kept
            if (kept := self.people.get(name)) and bcrypt.checkpw(password.encode(), kept.encode())
            else bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()
            for name, password in people.items()
        }
        documents = [
            {
                "apiVersion": "danube.dev/v1",
                "kind": "User",
                "metadata": {"name": name},
                "spec": {"email": f"{name}@example.com", "password_hash": hashed},
            }
            for name, hashed in self.people.items()
        ]
        (self.config / "users.yaml").write_text("\n---\n".join(json.dumps(one) for one in documents))
        if self.server is not None:
            self.danube("config", "sync")

    def browser(self) -> Browser:
        return Browser(self.url)

    def dexes(self) -> list[int]:
        """Processes that serve this world's file."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:  # it ended meanwhile
                    continue
                if b"serve" in words and str(self.data / "dex" / "dex.yaml").encode() in words:
                    found.append(int(entry.name))
        return found

    def conditions(self) -> list[str]:
        answer = json.loads(urllib.request.urlopen(f"{self.url}/health", timeout=20).read())
        return list(answer["conditions"])

    def wait_for_dex(self) -> None:
        wait_until(lambda: not self.conditions() and len(self.dexes()) == 1, 30, "Dex to answer")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DexWorld]:
    made = DexWorld(tmp_path)
    made.configure(alice=PASSWORDS["alice"])
    try:
        made.serve()
        made.wait_for_dex()
        yield made
        made.close()
        assert made.dexes() == []
    finally:
        made.abandon()


def test_people_log_in_there_as_the_configuration_has_them(world: DexWorld) -> None:
    alice, bob = world.browser(), world.browser()
    assert alice.log_in("alice", "a guess") == 401
    assert alice.log_in("alice") == 200
    assert alice.who() == "alice@example.com"
    assert bob.open("/auth/methods")[2] == '{"password":false,"oidc":true}'

    (before,) = world.dexes()
    world.configure(**PASSWORDS)
    wait_until(lambda: world.dexes() not in ([], [before]), 30, "Dex to be begun again")
    world.wait_for_dex()
    assert bob.log_in("bob") == 200
    assert bob.who() == "bob@example.com"
    assert alice.who() == "alice@example.com"

    # A new password is no new person: the subject that was bound at the first login still is.
    (before,) = world.dexes()
    world.configure(alice="another one", bob=PASSWORDS["bob"])
    wait_until(lambda: world.dexes() not in ([], [before]), 30, "Dex to be begun again")
    world.wait_for_dex()
    again = world.browser()
    assert again.log_in("alice", PASSWORDS["alice"]) == 401
    assert again.log_in("alice", "another one") == 200

    # A configuration in which nobody changed is none for Dex.
    (before,) = world.dexes()
    world.pipeline("app", None)
    world.danube("config", "sync")
    assert world.dexes() == [before]

    with bob.stream("/api/v1/events") as events:
        assert events.readline() == b"event: snapshot\n"
        world.configure(alice="another one")
        assert b"heartbeat" not in events.read()  # to its end, which is not the next periodic look's doing
    assert bob.who() is None
    world.configure(alice="another one", bob=PASSWORDS["bob"])
    assert bob.who() is None  # a session that ended does not come to life again
    assert (world.data / "dex" / "dex.yaml").stat().st_mode & 0o777 == 0o600


def test_the_command_line_logs_in_with_a_code(world: DexWorld) -> None:
    environment = {**world.environment, "XDG_CONFIG_HOME": str(world.path / "home")}
    words = [*DANUBE, "login", world.url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, cwd=world.path) as command:
        assert command.stderr is not None
        page = command.stderr.readline().removeprefix("open ").strip()
        alice = world.browser()
        _, url, text = alice.open(page)
        _, url, text = alice.fill_in(url, text)
        status, _, _ = alice.fill_in(url, text, login="alice@example.com", password=PASSWORDS["alice"])
        assert status == 200
        assert command.wait(60) == 0
    asked = [*DANUBE, "whoami", "--json", "--server", world.url]
    me = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=world.path, check=True)
    assert json.loads(me.stdout)["name"] == "alice@example.com"


def test_a_dex_that_dies_comes_back(world: DexWorld) -> None:
    # A login is under way while it dies, and is finished afterwards.
    alice = world.browser()
    _, url, page = alice.open("/auth/login?return_to=/health")
    (before,) = world.dexes()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: world.dexes() not in ([], [before]), 30, "another Dex")
    world.wait_for_dex()
    status, _, _ = alice.fill_in(url, page, login="alice@example.com", password=PASSWORDS["alice"])
    assert status == 200
    assert alice.who() == "alice@example.com"


def test_a_dex_that_hangs_holds_nobody_up_who_asks_for_the_servers_health(world: DexWorld) -> None:
    (process,) = world.dexes()
    os.kill(process, signal.SIGSTOP)
    try:
        assert world.conditions() == ["dex-not-answering"]
        assert "no answer within 2 s" in world.danube("config", "status").stdout
    finally:
        os.kill(process, signal.SIGCONT)
    world.wait_for_dex()


def test_a_dex_that_cannot_begin_is_told_of_and_mended(world: DexWorld) -> None:
    program = world.path / "dex"
    good = program.read_text()
    program.write_text("#!/bin/sh\necho 'no Dex today'\nexit 1\n")
    (before,) = world.dexes()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: world.conditions() == ["dex-not-running"], 30, "the condition")
    status, _, page = world.browser().open("/dex/auth")
    assert (status, "login service does not answer" in page) == (503, True)
    status, _, page = world.browser().open("/auth/login")
    assert (status, "does not answer" in page) == (503, True)
    refused = world.danube("login", world.url, check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (3, True)
    wait_until(
        lambda: "Dex is not running: no Dex today" in world.danube("config", "status").stdout, 30, "its own words"
    )
    program.write_text(good)
    world.wait_for_dex()
    assert world.browser().log_in("alice") == 200


def test_a_killed_server_leaves_no_dex_and_the_next_has_one(world: DexWorld) -> None:
    alice = world.browser()
    alice.log_in("alice")
    (before,) = world.dexes()
    world.kill()
    wait_until(lambda: world.dexes() == [], 10, "Dex to end with its server")
    world.serve()
    world.wait_for_dex()
    assert world.dexes() != [before]
    assert alice.who() == "alice@example.com"
    assert world.browser().log_in("alice") == 200
