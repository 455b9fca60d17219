"""Documents, dashboard and alerts are made from the metrics' definitions, and Prometheus' own tools accept them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from build_steps.metrics_files import ROOT, expression, files
from danube_pkg.core.metrics.points import MetricKind
from danube_pkg.edges.http.metrics.definitions import ALERTS, METRICS, SPECIFIED
from tests.edges.http.api import open_api

DEPLOY = ROOT / "deploy"


def test_the_files_are_those_of_the_present_definitions() -> None:
    for path, text in files().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "write them: python -m build_steps.metrics_files"


def test_each_query_names_metrics_that_exist() -> None:
    names = {one.name for one in METRICS}
    names |= {f"{one.name}_bucket" for one in METRICS if one.kind is MetricKind.HISTOGRAM}
    for text in (*(expression(one) for one in METRICS), *(one.expression for one in ALERTS)):
        used = set(re.findall(r"danube_\w+", text))
        assert used or text.startswith("up{"), text
        assert used <= names, text


def test_names_follow_prometheus_rules_and_are_unique() -> None:
    assert len({one.name for one in METRICS}) == len(METRICS)
    for one in METRICS:
        assert one.name.endswith("_total") is (one.kind is MetricKind.COUNTER), one.name
    assert len(SPECIFIED) == 13


def test_the_dashboard_shows_each_metric_once() -> None:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    shown = [panel["targets"][0]["expr"] for panel in dashboard["panels"]]
    assert shown == [expression(one) for one in METRICS]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(places) == len(METRICS)


def test_every_alert_has_a_test() -> None:
    tested = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", (DEPLOY / "alerts_test.yml").read_text()))
    assert tested == {one.name for one in ALERTS}


def promtool(*words: str, given: bytes = b"") -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing. hint: apt-get install prometheus"
    done = subprocess.run([program, *words], input=given, cwd=DEPLOY, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.long
def test_promtool_accepts_and_tests_the_rules() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


@pytest.mark.long
async def test_promtool_accepts_the_metrics(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        await api.local.post("/api/v1/config/sync")
        await api.local.get("/health/ready")
        text = (await api.local.get("/metrics")).body
    promtool("check", "metrics", given=text)
