"""An egress proxy that is stopped while a job needs it: the job says so, the proxy is replaced, the job is green."""

import os
import signal

import pytest

from tests.e2e.test_egress import proxies_of
from tests.support.server import Installation

PIPELINE = """
    from danube import pipeline, secrets, step

    @pipeline(name="app")
    def build():
        step.run("echo ready; until [ -e go ]; do sleep 0.05; done", name="wait")
        token = secrets.get("TOKEN")
        step.run('test "$TOKEN" = "correct horse"', env={"TOKEN": token}, name="use")
"""


@pytest.mark.long
def test_a_job_outlives_a_stopped_proxy(danube: Installation) -> None:
    danube.pipeline("app", PIPELINE, egress_allowlist=["files.test"])
    danube.serve()
    danube.command("secrets", "set", "TOKEN", stdin="correct horse")
    job = danube.trigger("app")
    danube.wait_for_log(job, "ready")
    (stopped,) = proxies_of(danube)
    os.kill(stopped, signal.SIGSTOP)
    (danube.workspace(job) / "go").touch()
    danube.wait_for_log(job, "waiting for the egress proxy: ")
    assert "It has been waiting for the egress proxy for" in danube.command("explain", job).stdout
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    assert b"egress-proxy-replaced" in danube.server_log.read_bytes()
