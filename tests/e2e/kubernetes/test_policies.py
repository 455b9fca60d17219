"""Network policies on the cluster of this run: what enforces them is observed, and jobs are refused where nothing does.

A real cluster with a controller of policies is named by DANUBE_TEST_ENFORCES=yes; the fake ignores policies, as a
cluster without a controller does.
"""

import json
import os
import socket
from collections.abc import Iterator

import pytest

from tests.adapters.runtimes.sandbox.origins import Origin
from tests.e2e.kubernetes.conftest import ClusterOfRun
from tests.e2e.test_egress import allowed, origin
from tests.support.server import Installation

__all__ = ["origin"]

pytestmark = pytest.mark.long

ENFORCES = os.environ.get("DANUBE_TEST_ENFORCES") == "yes"
SECONDS = 120.0

PROGRAM = r"""
import base64, os, socket, sys

def fetch(url):
    user, _, place = os.environ["HTTP_PROXY"].removeprefix("http://").rpartition("@")
    host, _, port = place.partition(":")
    head = f"GET {url} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\nConnection: close\r\n"
    head += f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n\r\n"
    with socket.create_connection((host, int(port)), 10) as proxy:
        proxy.sendall(head.encode())
        received = b""
        while data := proxy.recv(65536):
            received += data
    print("through the proxy:", received.split(b"\r\n")[0], received[-6:])

def connect(address, port):
    try:
        socket.create_connection((address, int(port)), 3).close()
        print("reached", port)
    except OSError as error:
        print("closed", port, type(error).__name__)

fetch(sys.argv[1])
for port in sys.argv[3:]:
    connect(sys.argv[2], port)
"""


@pytest.fixture
def strict(danube: Installation, cluster: ClusterOfRun) -> Iterator[Installation]:
    """An installation that refuses jobs where nothing enforces policies."""
    cluster.install(danube)
    file = danube.path / "danube.toml"
    names = 'hosts = {"files.test" = "127.0.0.1"}\n'
    file.write_text(file.read_text().replace('unenforced = "warn"\n', f'unenforced = "refuse"\n{names}'))
    yield danube
    cluster.wait_empty(danube)


def test_jobs_run_where_policies_are_enforced_and_are_refused_elsewhere(strict: Installation, origin: Origin) -> None:
    if ENFORCES:
        reach_the_proxy_alone(strict, origin)
    else:
        be_refused(strict)


def be_refused(strict: Installation) -> None:
    """A cluster that does not enforce is a condition."""
    strict.pipeline("app", "from danube import pipeline\n\n@pipeline(name='app')\ndef app():\n    print('ran')\n")
    strict.serve()
    job = strict.end_of(strict.trigger("app"), SECONDS)
    assert (job["status"], job["reason"]) == ("failure", "egress-unenforced")
    assert "does not enforce network policies" in job["message"]
    assert "ran\n" not in strict.printed(job["id"])
    status = strict.command("config", "status", "--json", check=False).stdout
    assert "egress-unenforced" in status


def reach_the_proxy_alone(strict: Installation, origin: Origin) -> None:
    """A pod reaches the proxy and nothing else."""
    address = os.environ["DANUBE_TEST_ADDRESS"]
    with socket.create_server((address, 0)) as other:
        port, url = other.getsockname()[1], f"http://files.test:{origin.server_port}/hello"
        line = f"step.run('python3 program.py {url} {address} {port}', name='tries')"
        body = f"from danube import pipeline, step\n\n@pipeline(name='app')\ndef app():\n    {line}\n"
        strict.pipeline("app", body, {"program.py": PROGRAM}, egress_allowlist=allowed(origin.server_port))
        strict.serve()
        job = strict.end_of(strict.trigger("app"), SECONDS)
    printed = strict.printed(job["id"])
    assert job["status"] == "success", strict.log(job["id"])
    assert job["egress_enforced_by"] == "network-policy"
    assert "through the proxy: b'HTTP/1.1 200 OK' b'hello\\n'" in printed
    assert f"closed {port} " in printed
    found = json.loads(strict.command("explain", job["id"], "--egress", "--json").stdout)
    assert [(one["step"], one["host"], one["verdict"]) for one in found["destinations"]] == [
        (1, "files.test", "allowed")
    ]
