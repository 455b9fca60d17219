"""For all tests: their schedule, which files are left out, the log, and that no property is refuted by a slow
machine."""

import gc
import logging
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

pytest_plugins = ["tests.support.schedule"]

settings.register_profile("random", deadline=None)
settings.register_profile("everyday", settings.get_profile("random"), derandomize=True, max_examples=20)
settings.load_profile("everyday")
"""The same examples in each run, so that a change is red for what it did; `make fuzz` draws others, and five times as
many."""


def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis draw from all constants of the imported modules in `make fuzz` only: to collect them takes seconds
    in each worker."""
    if config.getoption("hypothesis_profile") != "random":
        providers._get_local_constants = lambda: providers._local_constants


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without the garbage collector, and keep it from what they made for the rest of the run: a
    million objects that stay, which each of its full rounds would visit."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


ONLY = {
    "web": {"long"},
    "adversary": {"long", "soak"},
    "test_typing.py": {"long"},
    "test_document_at_length.py": {"fuzz"},
}
"""Folders and files whose tests all have one of these marks. Their imports take seconds, and each worker would do
them."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has no test of this run."""
    marks = ONLY.get(collection_path.name)
    return True if marks and all(f"not {mark}" in config.option.markexpr for mark in marks) else None


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """What a test sets up for a server's log, which is the process's, ends with the test."""
    root, own = logging.getLogger(), logging.getLogger("danube")
    before = [(one, one.level, one.propagate, list(one.handlers), one.disabled) for one in (root, own)]
    levels = {
        name: one.level for name, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)
    }
    yield
    for one, level, propagate, handlers, disabled in before:
        one.setLevel(level)
        one.propagate, one.handlers, one.disabled = propagate, handlers, disabled
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.startswith("danube"):
            logger.setLevel(levels.get(name, logging.NOTSET))
