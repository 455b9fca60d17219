"""Applies a rule to files and fails with everything that it found."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.tidy.tree import Source

Rule = Callable[[Source], Iterator[str]]
"""Yields a finding as `line: what`."""


def assert_none(rule: Rule, files: Iterable[Source]) -> None:
    """The rule finds nothing in these files, of which there is at least one."""
    checked = list(files)
    assert checked, "no file was checked"
    assert_empty(f"{source.name}:{finding}" for source in checked for finding in rule(source))


def assert_empty(findings: Iterable[str]) -> None:
    """No finding; all of them are printed, one a line."""
    if found := list(findings):
        pytest.fail(f"{len(found)} findings\n" + "\n".join(found), pytrace=False)
