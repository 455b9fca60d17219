"""Headers of programs and libraries, also damaged ones."""

import sys
from pathlib import Path

import pytest

from danube_pkg.adapters.coordinator_image.elf import BadElf, read_elf
from danube_pkg.adapters.coordinator_image.libraries import LibraryFinder, LibraryMissing
from danube_pkg.kit.records import replace

PYTHON = Path(sys.executable).resolve()


def test_a_program_names_its_loader_and_its_libraries() -> None:
    found = read_elf(PYTHON)
    assert found is not None
    assert Path(found.loader).name.startswith("ld-")
    assert any(name.startswith("libc.") for name in found.needed)


def test_its_libraries_are_found_with_those_that_they_need() -> None:
    found = read_elf(PYTHON)
    assert found is not None
    search = [Path(one) for one in found.search if one.startswith("/")]
    names = {one.name for one in LibraryFinder(found.kind, search).closure(PYTHON, found)}
    assert names.issuperset(found.needed)
    assert all(read_elf(one.path) for one in LibraryFinder(found.kind, search).closure(PYTHON, found))


def test_a_library_that_does_not_exist_is_named() -> None:
    found = read_elf(PYTHON)
    assert found is not None
    with pytest.raises(LibraryMissing, match=r"needs libnone\.so\.7"):
        LibraryFinder(found.kind).closure(PYTHON, replace(found, needed=("libnone.so.7",)))


def test_a_library_of_another_machine_is_not_taken(tmp_path: Path) -> None:
    found = read_elf(PYTHON)
    assert found is not None
    data = bytearray(PYTHON.read_bytes())
    data[18:20] = b"\xff\x7f"
    (tmp_path / "libc.so.6").write_bytes(data)
    other = LibraryFinder(found.kind, [tmp_path]).find("libc.so.6")
    assert other is None or other.path.parent != tmp_path


def test_a_script_is_not_a_program(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert read_elf(script) is None


@pytest.mark.parametrize("kept", [17, 40, 63, 64, 100, 300])
def test_a_program_that_was_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(PYTHON.read_bytes()[:kept])
    with pytest.raises(BadElf):
        read_elf(cut)


def test_a_header_that_claims_a_huge_table_is_refused(tmp_path: Path) -> None:
    data = bytearray(PYTHON.read_bytes())
    data[54:58] = b"\xff\xff\xff\xff"  # e_phentsize, e_phnum
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    with pytest.raises(BadElf, match="bytes"):
        read_elf(damaged)
