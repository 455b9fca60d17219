"""A real job's trace and the metrics at a real receiver, over a restart of the server; its steps and their children
join the trace."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.otlp_collector import PROGRAMS, through_collector
from tests.support.server import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

DANUBEFILE = """
    import os
    from danube import pipeline, step

    @pipeline(name="Traced")
    def build():
        print("script", os.environ["TRACEPARENT"])
        step.run("echo step $TRACEPARENT", name="Print")
        step.run("while [ ! -e go ]; do sleep 0.1; done", name="Wait")
"""


class Received(ThreadingHTTPServer):
    """A receiver of OTLP over HTTP on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Mapping[str, Any]] = []
        self.metrics: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Received)
        for resource in body.get("resourceMetrics", ()):
            for scope in resource["scopeMetrics"]:
                self.server.metrics |= {one["name"] for one in scope["metrics"]}
        for resource in body.get("resourceSpans", ()):
            for scope in resource["scopeSpans"]:
                self.server.spans += scope["spans"]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(params=PROGRAMS)
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Received, str]]:
    """What a receiver got, and where it is sent: to the receiver, or to a collector before it."""
    server = Received()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with through_collector(request.param, f"http://127.0.0.1:{server.server_port}", tmp_path) as sent_to:
        yield server, sent_to
    server.shutdown()
    server.server_close()


def test_a_job_is_one_trace_over_a_restart(danube: Installation, receiver: tuple[Received, str]) -> None:
    received, sent_to = receiver
    observability = {"traces_enabled": True, "otel_endpoint": sent_to}
    observability |= {"metrics_push_enabled": True, "metrics_push_interval": 5}
    document = {"apiVersion": "danube.dev/v1", "kind": "Config", "metadata": {"name": "global"}}
    (danube.config / "config.yaml").write_text(json.dumps({**document, "spec": {"observability": observability}}))
    danube.pipeline("app", DANUBEFILE)
    danube.serve()
    job = danube.trigger("app")
    danube.wait_for_log(job, "step 00-", 60)
    danube.kill()
    danube.serve()
    (danube.workspace(job) / "go").touch()
    assert danube.end_of(job)["status"] == "success"
    log = danube.log(job)

    def trace() -> Mapping[str, Mapping[str, Any]]:
        return {one["name"]: one for one in received.spans if one["traceId"] in log}  # not those of requests

    wait_until(lambda: "end" in trace(), 60, "the trace")
    spans = trace()
    assert {"job app", "trigger manual", "queue", "pod", "danubefile", "step Print", "step Wait", "end"} <= spans.keys()
    for printed, name in (("script", "danubefile"), ("step", "step Print")):
        line = next(one for one in log.splitlines() if f"{printed} 00-" in one)
        assert line.split(f"{printed} 00-")[1].split("-")[:2] == [spans[name]["traceId"], spans[name]["spanId"]]
    assert spans["step Print"]["parentSpanId"] == spans["danubefile"]["spanId"]
    wait_until(lambda: "danube_jobs_total" in received.metrics, 60, "the metrics of the ended job")
