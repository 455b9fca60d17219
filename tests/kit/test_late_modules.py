"""Modules that are imported with their first use."""

import gc
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from danube_pkg.kit.late_modules import LateModules

NAMES = ("late_large", "late_user")


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`late_user` imports `late_large`, and uses it in a function."""
    (tmp_path / "late_large.py").write_text("answer = 42\n")
    (tmp_path / "late_user.py").write_text("import late_large\ndef answer():\n    return late_large.answer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


def imported_late() -> ModuleType:
    with LateModules("late_large"):
        return import_module("late_user")


def test_a_late_module_is_not_imported_until_it_is_used() -> None:
    user = imported_late()
    assert "late_large" not in sys.modules
    assert user.answer() == 42
    assert sys.modules["late_large"].answer == 42


def test_an_import_after_the_block_gets_the_module_itself() -> None:
    imported_late()
    large = import_module("late_large")
    assert large.__file__ is not None
    assert large.answer == 42


def test_a_path_that_is_added_after_the_block_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = imported_late()
    own = tmp_path / "own"
    own.mkdir()
    (own / "late_large.py").write_text("answer = 'of the repository'\n")
    monkeypatch.syspath_prepend(str(own))
    assert user.answer() == 42
    assert sys.path[0] == str(own)


def test_a_use_within_the_block_imports_the_module() -> None:
    with LateModules("late_large"):
        assert import_module("late_user").answer() == 42
        assert import_module("late_large").__file__ is not None
    assert "late_large" in sys.modules


def test_a_module_that_is_imported_already_stays() -> None:
    large = import_module("late_large")
    assert imported_late().late_large is large


def test_questions_of_the_import_system_import_nothing() -> None:
    user = imported_late()
    assert not hasattr(user.late_large, "__path__")
    assert "late_large" not in sys.modules


def test_an_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="missing"):
        imported_late().late_large.missing  # noqa: B018


def test_the_garbage_collector_works_as_before() -> None:
    imported_late()
    assert gc.isenabled()
