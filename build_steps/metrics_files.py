"""Writes docs/metrics.md and deploy/ from the metrics' definitions:  python -m build_steps.metrics_files"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.core.metrics.points import MetricKind
from danube_pkg.edges.http.metrics.definitions import ALERTS, METRICS, SPECIFIED, Metric

ROOT = Path(__file__).parents[1]

PANEL_WIDTH, PANEL_HEIGHT = 12, 8

_INTRODUCTION = """# Metrics

`GET /metrics` answers in Prometheus' text format. It needs no login. Without a token, pipelines that have no public badge
are summed under `pipeline="(private)"`, and images under `image="(private)"`; an API token names the pipelines that its
owner may see, and `observability.metrics_pipeline_names: true` in config.yaml names all. Each label has at most 1,000
values, further ones are counted as `(other)`. Counters begin at 0 with each start of the server.

[deploy/prometheus.yml](../deploy/prometheus.yml) is a configuration for Prometheus,
[deploy/alerts.yml](../deploy/alerts.yml) has alert rules, [deploy/grafana-dashboard.json](../deploy/grafana-dashboard.json)
is a dashboard to import into Grafana. This page and these files are made from the same definitions:
`python -m build_steps.metrics_files`.
"""


def main() -> None:
    """Write all files."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")


def files() -> Mapping[str, str]:
    """Path from the root of the repository → content."""
    return {
        "docs/metrics.md": _page(),
        "deploy/prometheus.yml": _prometheus(),
        "deploy/alerts.yml": _alerts(),
        "deploy/grafana-dashboard.json": json.dumps(_dashboard(), indent=2) + "\n",
    }


def _page() -> str:
    rest = tuple(one for one in METRICS if one not in SPECIFIED)
    alerts = [f"| `{one.name}` | `{_cell(one.expression)}` | {one.lasts} | {one.text} | `{one.do}` |" for one in ALERTS]
    lines = [
        _INTRODUCTION,
        "## Metrics of the specification",
        "",
        *_table(SPECIFIED),
        "",
        "## Further metrics",
        "",
        *_table(rest),
        "",
        "Those of the process (`process_…`, `python_info`) are prometheus_client's.",
        "",
        "## Alerts",
        "",
        "| alert | expression | for | what has happened | what to do |",
        "|---|---|---|---|---|",
        *alerts,
        "",
    ]
    return "\n".join(lines)


def _table(metrics: tuple[Metric, ...]) -> list[str]:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.text} |"
        for one in metrics
    ]
    return ["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _prometheus() -> str:
    return "\n".join(
        [
            "# Made by: python -m build_steps.metrics_files",
            "global:",
            "  scrape_interval: 30s",
            "rule_files:",
            "  - alerts.yml",
            "scrape_configs:",
            "  - job_name: danube",
            "    static_configs:",
            '      - targets: ["localhost:8080"]',
            "    # An API token (danube token create --scope read) names the pipelines that its owner may see:",
            "    # authorization:",
            "    #   credentials_file: /etc/prometheus/danube.token",
            "",
        ]
    )


def _alerts() -> str:
    lines = ["# Made by: python -m build_steps.metrics_files", "groups:", "  - name: danube", "    rules:"]
    for one in ALERTS:
        lines += [
            f"      - alert: {one.name}",
            f"        expr: {json.dumps(one.expression)}",
            f"        for: {one.lasts}",
            "        labels:",
            f"          severity: {one.severity}",
            "        annotations:",
            f"          summary: {json.dumps(one.text)}",
            f"          description: {json.dumps(one.do)}",
        ]
    return "\n".join([*lines, ""])


def _dashboard() -> dict[str, Any]:
    """A dashboard in Grafana's JSON model, schema version 39 (Grafana 10 and newer)."""
    panels = [_panel(number, metric) for number, metric in enumerate(METRICS)]
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {
        "title": "Danube",
        "uid": "danube",
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [source]},
        "panels": panels,
    }


def _panel(number: int, metric: Metric) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels if f"{label}" in metric.query) or metric.name
    place = {
        "x": number % 2 * PANEL_WIDTH,
        "y": number // 2 * PANEL_HEIGHT,
        "w": PANEL_WIDTH,
        "h": PANEL_HEIGHT,
    }
    return {
        "id": number + 1,
        "title": metric.text.removesuffix("."),
        "type": "timeseries",
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": metric.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": source, "expr": expression(metric), "legendFormat": legend}],
    }


def expression(metric: Metric) -> str:
    """The query of a metric's panel."""
    default = "rate(NAME[5m])" if metric.kind is MetricKind.COUNTER else "NAME"
    return (metric.query or default).replace("NAME", metric.name)


if __name__ == "__main__":
    main()
