"""The record of one pod that was damaged concerns that pod alone."""

import json
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox.pod_files import PodDirectory, PodRecord, ProcessMark
from danube_pkg.core.runtimes.pods import Limits, Network

RECORD = PodRecord("p", "data", "job", ProcessMark(1, 2), 0, Network.NONE, (), Limits(), False)


@pytest.mark.parametrize(
    "content", [b"", b'{"a', b"[]", b"null", b"{}", b"\xff", json.dumps({"holder": 7}).encode(), b'{"network": "x"}']
)
def test_a_damaged_record_is_reported_and_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pod = PodDirectory(tmp_path, "p", "data")
    (pod.container(0)).mkdir(parents=True)
    (pod.path / "c" / "lost+found").mkdir()
    pod.write_pod(RECORD)
    assert pod.read_pod() == RECORD
    for name in (pod.path / "pod.json", pod.container(0) / "container.json", pod.container(0) / "copied.json"):
        name.write_bytes(content)
    assert pod.read_pod() is None
    assert [*pod.containers()] == []
    assert pod.copied_bytes() == 0
    assert pod.numbers() == [0]
    assert {record.message for record in caplog.records} == {"record-unreadable"}
