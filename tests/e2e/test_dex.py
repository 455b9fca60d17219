"""Users log in through the Dex that the server runs: it follows the configuration, and exactly one is running."""

import http.client
import http.cookiejar
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin

import bcrypt
import pytest

from tests.fakes.dex import dex_program
from tests.support.danube_process import DANUBE
from tests.support.ports import free_ports
from tests.support.server import Installation
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
        """The status, the URL after redirects, and the page."""
        request = urllib.request.Request(urljoin(self.base, url), urlencode(form).encode() if form else None)
        request.add_header("Accept", "text/html")
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.url, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.url or "", error.read().decode()

    def stream(self, path: str) -> http.client.HTTPResponse:
        """A response that is read while it arrives."""
        answer = self._opener.open(self.base + path, timeout=20)
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    def fill_in(self, url: str, page: str, **fields: str) -> tuple[int, str, str]:
        form = Form(page)
        assert form.action is not None, page
        return self.open(urljoin(url, form.action), {**form.fields, **fields})

    def log_in(self, name: str, password: str = "") -> int:
        """The status after the login: 200 if it leads to a page of Danube."""
        status, url, page = self.open("/auth/login?return_to=/health")
        if status != 200:
            return status
        status, url, page = self.fill_in(url, page, login=f"{name}@example.com", password=password or PASSWORDS[name])
        assert status != 200 or url == f"{self.base}/health", url
        return status

    def who(self) -> str | None:
        """The name of the user who is logged in, or None."""
        status, _, body = self.open("/api/v1/me")
        return str(json.loads(body)["name"]) if status == 200 else None


class DexInstallation(Installation):
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
        """name → password: configure exactly these users; applied when this returns."""
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
            self.command("config", "sync")

    def browser(self) -> Browser:
        return Browser(self.url)

    def dexes(self) -> list[int]:
        """The Dex processes that serve the file of this installation."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:  # it has ended
                    continue
                if b"serve" in words and str(self.data / "dex" / "dex.yaml").encode() in words:
                    found.append(int(entry.name))
        return found

    def conditions(self) -> list[str]:
        answer = json.loads(urllib.request.urlopen(f"{self.url}/health", timeout=20).read())
        return list(answer["conditions"])

    def wait_for_dex(self) -> None:
        wait_until(lambda: not self.conditions() and len(self.dexes()) == 1, 30, "Dex to answer")


@pytest.fixture
def danube(tmp_path: Path) -> Iterator[DexInstallation]:
    made = DexInstallation(tmp_path)
    made.configure(alice=PASSWORDS["alice"])
    try:
        made.serve()
        made.wait_for_dex()
        yield made
        made.close()
        assert made.dexes() == []
    finally:
        made.abandon()


@pytest.mark.long
def test_users_log_in_as_configured(danube: DexInstallation) -> None:
    alice, bob = danube.browser(), danube.browser()
    assert alice.log_in("alice", "a guess") == 401
    assert alice.log_in("alice") == 200
    assert alice.who() == "alice@example.com"
    assert bob.open("/auth/methods")[2] == '{"password":false,"oidc":true}'

    (before,) = danube.dexes()
    danube.configure(**PASSWORDS)
    wait_until(lambda: danube.dexes() not in ([], [before]), 30, "Dex to be restarted")
    danube.wait_for_dex()
    assert bob.log_in("bob") == 200
    assert bob.who() == "bob@example.com"
    assert alice.who() == "alice@example.com"

    # A new password does not make a new user: the subject of the first login stays bound.
    (before,) = danube.dexes()
    danube.configure(alice="another one", bob=PASSWORDS["bob"])
    wait_until(lambda: danube.dexes() not in ([], [before]), 30, "Dex to be restarted")
    danube.wait_for_dex()
    again = danube.browser()
    assert again.log_in("alice", PASSWORDS["alice"]) == 401
    assert again.log_in("alice", "another one") == 200

    # A configuration without changed users does not restart Dex.
    (before,) = danube.dexes()
    danube.pipeline("app", None)
    danube.command("config", "sync")
    assert danube.dexes() == [before]

    with bob.stream("/api/v1/events") as events:
        assert events.readline() == b"event: snapshot\n"
        danube.configure(alice="another one")
        assert b"heartbeat" not in events.read()  # until the stream ends, which must not take the next periodic check
    assert bob.who() is None
    danube.configure(alice="another one", bob=PASSWORDS["bob"])
    assert bob.who() is None  # an ended session is not restored
    assert (danube.data / "dex" / "dex.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_the_command_line_logs_in_with_a_code(danube: DexInstallation) -> None:
    environment = {**danube.environment, "XDG_CONFIG_HOME": str(danube.path / "home")}
    words = [*DANUBE, "login", danube.url]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, cwd=danube.path) as command:
        assert command.stderr is not None
        page = command.stderr.readline().removeprefix("open ").strip()
        alice = danube.browser()
        _, url, text = alice.open(page)
        _, url, text = alice.fill_in(url, text)
        status, _, _ = alice.fill_in(url, text, login="alice@example.com", password=PASSWORDS["alice"])
        assert status == 200
        assert command.wait(60) == 0
    asked = [*DANUBE, "whoami", "--json", "--server", danube.url]
    me = subprocess.run(asked, capture_output=True, text=True, env=environment, cwd=danube.path, check=True)
    assert json.loads(me.stdout)["name"] == "alice@example.com"


@pytest.mark.long
def test_a_killed_dex_is_restarted(danube: DexInstallation) -> None:
    # A login that was started before is finished afterwards.
    alice = danube.browser()
    _, url, page = alice.open("/auth/login?return_to=/health")
    (before,) = danube.dexes()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: danube.dexes() not in ([], [before]), 30, "another Dex")
    danube.wait_for_dex()
    status, _, _ = alice.fill_in(url, page, login="alice@example.com", password=PASSWORDS["alice"])
    assert status == 200
    assert alice.who() == "alice@example.com"


@pytest.mark.long
def test_a_dex_that_hangs_does_not_delay_the_health_check(danube: DexInstallation) -> None:
    (process,) = danube.dexes()
    os.kill(process, signal.SIGSTOP)
    try:
        assert danube.conditions() == ["dex-not-answering"]
        assert "no answer within 2 s" in danube.command("config", "status").stdout
    finally:
        os.kill(process, signal.SIGCONT)
    danube.wait_for_dex()


@pytest.mark.long
def test_a_dex_that_cannot_start_is_a_condition_until_it_can(danube: DexInstallation) -> None:
    program = danube.path / "dex"
    good = program.read_text()
    program.write_text("#!/bin/sh\necho 'no Dex today'\nexit 1\n")
    (before,) = danube.dexes()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: danube.conditions() == ["dex-not-running"], 30, "the condition")
    status, _, page = danube.browser().open("/dex/auth")
    assert (status, "login service does not answer" in page) == (503, True)
    status, _, page = danube.browser().open("/auth/login")
    assert (status, "does not answer" in page) == (503, True)
    refused = danube.command("login", danube.url, check=False)
    assert (refused.returncode, "does not answer" in refused.stderr) == (3, True)
    wait_until(
        lambda: "Dex is not running: no Dex today" in danube.command("config", "status").stdout, 30, "its own words"
    )
    program.write_text(good)
    danube.wait_for_dex()
    assert danube.browser().log_in("alice") == 200


@pytest.mark.long
def test_dex_ends_with_a_killed_server_and_starts_with_the_next(danube: DexInstallation) -> None:
    alice = danube.browser()
    alice.log_in("alice")
    (before,) = danube.dexes()
    danube.kill()
    wait_until(lambda: danube.dexes() == [], 10, "Dex to end with its server")
    danube.serve()
    danube.wait_for_dex()
    assert danube.dexes() != [before]
    assert alice.who() == "alice@example.com"
    assert danube.browser().log_in("alice") == 200
