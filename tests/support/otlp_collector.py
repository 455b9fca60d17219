"""The OpenTelemetry collector between Danube and the tests' own receiver, where DANUBE_TEST_OTLP_COLLECTOR names it.

It decodes what Danube sends by its own schema, refuses what is not OTLP, and sends what it understood on, encoded
anew. A test that passes over it has been read by a program that is not ours.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import wait_until

COLLECTOR = os.environ.get("DANUBE_TEST_OTLP_COLLECTOR", "")
"""The path of a collector that has the receiver `otlp` and the exporter `otlp_http`."""

PROGRAMS = ["", *([pytest.param(COLLECTOR, marks=pytest.mark.long, id="collector")] if COLLECTOR else [])]
"""For parametrized fixtures: without a collector, and with one."""


@contextmanager
def through_collector(program: str, receiver: str, folder: Path) -> Iterator[str]:
    """The URL of a collector that answers as the receiver answered: it keeps no queue and repeats nothing.

    Without a program, the URL of the receiver.
    """
    if not program:
        yield receiver
        return
    port = free_port()
    exporter = {
        "endpoint": receiver,
        "encoding": "json",
        "compression": "none",
        "sending_queue": {"enabled": False},
        "retry_on_failure": {"enabled": False},
    }
    pipeline = {"receivers": ["otlp"], "exporters": ["otlp_http"]}
    settings = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"otlp_http": exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": pipeline, "metrics": pipeline},
        },
    }
    written, log = folder / "collector.json", folder / "collector.log"
    written.write_text(json.dumps(settings))
    with log.open("wb") as output:
        process = subprocess.Popen([program, "--config", str(written)], stdout=output, stderr=output)
    try:
        wait_until(lambda: _listens(port), 30, f"the collector, see {log}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
