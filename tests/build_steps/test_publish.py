"""Releases on a forge, by a server on this machine with the shape of GitHub's and Gitea's APIs."""

import contextlib
import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from build_steps.staging import ROOT

TOKEN = "a-token-of-the-forge"

Step = tuple[str, str, dict[str, Any]]
"""Name, command, and the other arguments."""


class Releases(BaseHTTPRequestHandler):
    """The part of both APIs that a release needs. `server.state` has the releases and every request's method and
    path; `failing` upload names are refused once."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200, [{**one, "assets": self._assets(one)} for one in self.state["releases"]])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        if parts.path.endswith("/releases"):
            wanted = json.loads(body)
            number = len(self.state["releases"]) + 1
            host = f"http://{self.headers['Host']}"
            release = {
                "id": number,
                "html_url": f"{host}/o/n/releases/{wanted['tag_name']}",
                "upload_url": f"{host}/uploads/repos/o/n/releases/{number}/assets{{?name,label}}",
                **wanted,
            }
            self.state["releases"].append(release)
            self._answer(201, {**release, "assets": []})
            return
        name = parse_qs(parts.query)["name"][0]
        if name in self.state["failing"]:
            self.state["failing"].remove(name)
            self._answer(502, {"message": "no upload now"})
            return
        kind = self.headers["Content-Type"]
        if kind.startswith("multipart/"):
            message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            parts_of_body: Any = message.get_payload()
            (part,) = parts_of_body
            assert part.get_param("name", header="content-disposition") == "attachment"
            body = part.get_payload(decode=True)
        number = int(parts.path.split("/releases/")[1].split("/")[0])
        self.state["files"][number, name] = body
        self._answer(201, {"name": name, "size": len(body)})

    def do_PATCH(self) -> None:
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = int(self.path.rpartition("/")[2])
        release = self.state["releases"][number - 1]
        release.update(change)
        self._answer(200, release)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.server.state  # type: ignore[attr-defined]
        return state

    def _assets(self, release: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"name": name, "size": len(body)}
            for (number, name), body in self.state["files"].items()
            if number == release["id"]
        ]

    def _answer(self, code: int, document: object) -> None:
        self.state["seen"].append((self.command, urlsplit(self.path).path))
        assert self.headers["Authorization"] == f"token {TOKEN}"
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Requests are in `seen`."""


@pytest.fixture
def forge() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Releases) as server:
        server.state = {"releases": [], "files": {}, "failing": [], "seen": []}  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, name="forge")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "danube-linux-x86_64", tmp_path / "SHA256SUMS"]
    made[0].write_bytes(bytes(range(256)) * 40 + b"\r\n--boundary\r\n")
    made[1].write_text("sums\n")
    return made


def publish(
    forge: ThreadingHTTPServer, kind: str, files: list[Path], tag: str = "v1.2.0"
) -> subprocess.CompletedProcess[str]:
    api = f"http://127.0.0.1:{forge.server_address[1]}" + ("/repos/o/n" if kind == "github" else "/api/v1/repos/o/n")
    words = ["-m", "build_steps.publish", "--forge", kind, "--api", api, "--tag", tag, *map(str, files)]
    environment = {**os.environ, "FORGE_TOKEN": TOKEN, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", ["github", "gitea"])
def test_a_release_has_every_file_and_is_public_at_the_end(
    forge: ThreadingHTTPServer, kind: str, files: list[Path]
) -> None:
    done = publish(forge, kind, files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("published http://127.0.0.1:")
    state = forge.state  # type: ignore[attr-defined]
    assert state["files"] == {(1, path.name): path.read_bytes() for path in files}
    (release,) = state["releases"]
    assert (release["tag_name"], release["draft"], release["prerelease"]) == ("v1.2.0", False, False)
    uploads = {"github": "/uploads/repos/o/n/releases/1/assets", "gitea": "/api/v1/repos/o/n/releases/1/assets"}
    assert [path for method, path in state["seen"] if method == "POST"][1:] == [uploads[kind]] * 2
    assert [method for method, _ in state["seen"]][-1] == "PATCH"


def test_a_run_after_one_that_failed_uploads_what_is_missing(forge: ThreadingHTTPServer, files: list[Path]) -> None:
    state = forge.state  # type: ignore[attr-defined]
    state["failing"] = ["SHA256SUMS"]
    done = publish(forge, "github", files)
    assert done.returncode == 1
    assert "HTTP 502" in done.stderr
    assert state["releases"][0]["draft"]
    state["seen"].clear()
    assert publish(forge, "github", files).returncode == 0
    assert [method for method, _ in state["seen"]] == ["GET", "POST", "PATCH"]
    assert not state["releases"][0]["draft"]


def test_a_public_release_is_not_changed(forge: ThreadingHTTPServer, files: list[Path]) -> None:
    assert publish(forge, "gitea", files[:1]).returncode == 0
    assert publish(forge, "gitea", files[:1]).returncode == 0
    done = publish(forge, "gitea", files)
    assert done.returncode == 1
    assert "v1.2.0 is published already, without SHA256SUMS" in done.stderr


def test_the_danubefile_publishes_a_tag_with_every_file(
    forge: ThreadingHTTPServer, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of its last step, in a workspace whose files were built."""
    (tmp_path / "dist").mkdir()
    for path in files:
        path.rename(tmp_path / "dist" / path.name)
    python = tmp_path / "build" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    api = f"http://127.0.0.1:{forge.server_address[1]}/repos/o/n"
    steps, uploads = steps_of_the_danubefile("v1.2.0", {"forge": "github", "api": api})
    assert uploads == sorted(path.name for path in files)
    name, command, more = steps[-1]
    assert (name, more["env"]) == ("Publish", {"FORGE_TOKEN": TOKEN})
    environment = {
        **os.environ,
        **more["env"],
        "PYTHONPATH": f"{ROOT}/sdk:{ROOT}",
        "DANUBE_TAG": "v1.2.0",
        "no_proxy": "127.0.0.1",
    }
    subprocess.run(["sh", "-c", command], env=environment, check=True)
    state = forge.state  # type: ignore[attr-defined]
    assert sorted(name for _, name in state["files"]) == uploads
    assert not state["releases"][0]["draft"]
    assert [one[0] for one in steps_of_the_danubefile("", {"api": api})[0]][-1] == "Files"


def steps_of_the_danubefile(tag: str, parameters: Mapping[str, str]) -> tuple[list[Step], list[str]]:
    """(name, command and the rest of each step, names of artifacts) of danubefile.py for such a job."""
    steps: list[Step] = []
    uploads: list[str] = []

    def record(command: str, name: str, **more: Any) -> None:
        steps.append((name, command, more))

    names = runpy.run_path(str(ROOT / "danubefile.py"))
    function = names["build"]
    function.__globals__.update(
        step=SimpleNamespace(run=record, start=record, parallel=contextlib.nullcontext),
        ctx=SimpleNamespace(tag=tag, params=parameters),
        secrets=SimpleNamespace(get={"FORGE_TOKEN": TOKEN}.__getitem__),
        artifacts=SimpleNamespace(upload=lambda path, name: uploads.append(name)),
    )
    function()
    return steps, uploads


def test_a_release_candidate_is_marked_as_one(forge: ThreadingHTTPServer, files: list[Path]) -> None:
    assert publish(forge, "github", files, "v1.3.0-rc.1").returncode == 0
    assert forge.state["releases"][0]["prerelease"] is True  # type: ignore[attr-defined]
