"""The identity of a directory: kept when it is opened again or renamed, another one for a copy."""

import json
import shutil
from pathlib import Path

import pytest

from danube_pkg.kit.directory_identity import FILE, identify, read_identity


def test_a_directory_keeps_its_identity(tmp_path: Path) -> None:
    first = identify(tmp_path)
    assert identify(tmp_path) == first == read_identity(tmp_path)


def test_a_renamed_directory_keeps_its_identity(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    first = identify(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert identify(tmp_path / "after") == first


def test_a_copy_gets_another_identity_and_the_original_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "original").mkdir()
    original = identify(tmp_path / "original")
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    copy = identify(tmp_path / "copy")
    assert copy.id != original.id
    assert (identify(tmp_path / "copy"), identify(tmp_path / "original")) == (copy, original)


@pytest.mark.parametrize(("field", "value"), [("machine", "another"), ("device", 1), ("inode", 1)])
def test_each_of_machine_device_and_inode_makes_it_another_directory(tmp_path: Path, field: str, value: object) -> None:
    first = identify(tmp_path)
    recorded = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**recorded, field: value}))
    assert identify(tmp_path).id != first.id


@pytest.mark.parametrize("text", ["", "{}", '{"id": "a"}'])
def test_an_unreadable_record_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_identity(tmp_path) is None
    assert identify(tmp_path) == read_identity(tmp_path)
