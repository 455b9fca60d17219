"""A pytest plugin: which tests share a worker, which start first, and which take longer than an everyday test should.

`make test` runs several workers (pytest-xdist, `--dist loadgroup --no-loadscope-reorder`). Tests of one group run one
after the other in one worker, because they share something expensive; every other test goes to the next free worker.
Without xdist, groups do nothing.
"""

import os
from collections.abc import Generator, Iterable

import pytest

GROUPS = {
    "tests/web/": "web",
    "tests/adapters/git/": "git",
    "tests/build_steps/test_run_example.py": "example",
    "tests/adapters/runtimes/sandbox/test_egress_clients.py": "egress-clients",
    "tests/e2e/test_installation.py": "installation",
}
"""The beginning of a path → the group of its tests: those of one browser and server, one SSH server, one port, one
booted system."""

SLOW = (
    "tests/web/",
    "tests/adversary/",
    "tests/adapters/git/",
    "test_as_ordinary_user.py",
    "tests/e2e/",
    "tests/adapters/runtimes/",
    "tests/adapters/images/",
    "tests/contract/",
)
"""Parts of paths with slow tests. They start first, so that no worker is alone with one at the end, and one by one. The
tests of each other file are a group, since handing out thousands of quick tests one by one takes longer than they
do."""

REASONS = frozenset({"slow", "long", "soak"})
"""Marks of tests that may take longer than an everyday test."""

EVERYDAY_SECONDS = 5.0
"""What a test may take on a quiet machine without a reason (`@pytest.mark.slow("why")`)."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into its group, and the slow folders first."""
    for item in items:
        if (group := _group_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: _place_of(item.nodeid))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where xdist does not see the groups: tests of one port or browser would disturb each other."""
    if hasattr(session.config, "workerinput") and session.config.getvalue("loadgroup"):
        for item in session.items:
            if item.get_closest_marker("xdist_group") is not None and "@" not in item.nodeid.rpartition("]")[2]:
                raise pytest.UsageError(f"pytest-xdist has not put {item.nodeid} into its group")


def _group_of(item: pytest.Item) -> str | None:
    for prefix, group in GROUPS.items():
        if item.nodeid.startswith(prefix):
            return group
    if "shared" in getattr(item, "fixturenames", ()):
        return f"shared-{item.path.stem}"
    return item.path.stem if _place_of(item.nodeid) == len(SLOW) else None


def _place_of(name: str) -> int:
    return next((place for place, part in enumerate(SLOW) if part in name), len(SLOW))


class SlowTests:
    """Collects the everyday tests that took too long and have no reason, in the process that reports."""

    def __init__(self, workers: int) -> None:
        self.bound_seconds = EVERYDAY_SECONDS * max(1.0, workers / (os.cpu_count() or 1))
        self._found: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.duration > self.bound_seconds and not _has_reason(report.keywords):
            self._found[report.nodeid] = report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._found:
            return
        terminalreporter.section("slow tests without a reason", yellow=True)
        for name, seconds in sorted(self._found.items(), key=lambda one: -one[1]):
            terminalreporter.line(f"{seconds:7.2f}s {name}")
        terminalreporter.line('  hint: make it faster, or say why: @pytest.mark.slow("why")')


def _has_reason(keywords: Iterable[str]) -> bool:
    return bool(REASONS & set(keywords))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a worker send of a success what is read of it. Three reports of each test go to the process that prints
    them, which takes as long as a quick test."""
    report = yield
    if report.passed and hasattr(item.config, "workerinput"):
        report.keywords = dict.fromkeys(REASONS & set(report.keywords), 1)
        report.sections = []
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Report in the process that has a terminal; a worker has none."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SlowTests(int(getattr(config.option, "numprocesses", None) or 0)), "slow-tests")
