"""The page for a bug report has what is asked first, and nothing private."""

import socket
from pathlib import Path

from danube_pkg.ops.bug_report import bug_report
from danube_pkg.ops.doctor import CheckResult
from tests.cli.shell import Shell
from tests.edges.http.api import open_api

HEALTH = {
    "status": "not-ready",
    "parts": [
        {
            "part": "configuration",
            "ok": False,
            "since": "2026-01-01T00:00:00Z",
            "reference": "configuration-stale",
            "reason": "https://git.example.org/secret-project cannot be read for bob@example.com",
            "hint": "",
        }
    ],
}
SYSTEM = {
    "version": "9.9",
    "started_at": "2026-01-01T00:00:00Z",
    "phases": {"queued": 2, "running": 0},
    "repairs": [
        {
            "repair": "retry-sync",
            "at": "2026-01-01T00:05:00Z",
            "outcome": "done",
            "why": "configuration-stale",
            "what": "x",
        }
    ],
}


def test_it_names_states_and_hides_names() -> None:
    home, host = str(Path.home()), socket.gethostname()
    checks = [
        CheckResult("data directory", False, f"{home}/danube of {host} at 192.0.2.7 for bob@example.com", "chown")
    ]
    text = bug_report(checks, HEALTH, SYSTEM)
    assert "danube 9.9" in text
    assert "configuration: configuration-stale, since 2026-01-01T00:00:00Z" in text
    assert "jobs: 2 queued" in text
    assert "repair retry-sync at 2026-01-01T00:05:00Z: done (configuration-stale)" in text
    assert "FAIL data directory: ~/danube of (host) at (address) for ***" in text
    for private in ("secret-project", "example.com", "example.org", "192.0.2.7"):
        assert private not in text
    assert "Server: none answers" in bug_report(checks, None, {})


async def test_the_command_asks_the_running_server(tmp_path: Path) -> None:
    async with open_api(tmp_path / "data") as api:
        printed = await Shell(tmp_path / "home").run_out("doctor", "--report", "--data", str(api.path), code=None)
        assert "configuration: configuration-missing" in printed
        assert "database: ok" in printed
