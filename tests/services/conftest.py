"""Coordinators that hang, as most of these do, are not waited for when their job has ended."""

import pytest

from danube_pkg.services.jobs.effects import stop_steps


@pytest.fixture(autouse=True)
def _stop_coordinators_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_steps, "COORDINATOR_EXIT_SECONDS", 0.05)
