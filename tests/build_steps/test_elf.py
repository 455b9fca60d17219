"""What the dynamic loader uses of a file."""

import subprocess
from pathlib import Path

import pytest

from build_steps.elf import read_dynamic, set_search


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A program with a library in a directory that is its search path."""
    (tmp_path / "libdeep.c").write_text("int answer(void) { return 42; }\n")
    (tmp_path / "program.c").write_text("int answer(void); int main(void) { return answer(); }\n")
    place = tmp_path / "a-directory-with-a-long-name"
    place.mkdir()
    library = place / "libdeep.so"
    words = ["cc", "-shared", "-fPIC", "-Wl,-soname,libdeep.so", "-o", str(library), str(tmp_path / "libdeep.c")]
    subprocess.run(words, check=True)
    program = place / "program"
    words = [
        "cc",
        "-o",
        str(program),
        str(tmp_path / "program.c"),
        str(library),
        f"-Wl,-rpath,{place}",
        "-Wl,--enable-new-dtags",
    ]
    subprocess.run(words, check=True)
    return program


def test_it_names_the_libraries_the_search_path_and_the_c_library(built: Path) -> None:
    found = read_dynamic(built)
    assert found is not None
    assert list(found.needed) == ["libdeep.so", "libc.so.6"]
    assert found.search == [str(built.parent)]
    assert found.glibc is not None
    assert (2, 2) <= found.glibc < (3, 0)


def test_the_newest_version_is_that_of_the_symbols(built: Path) -> None:
    """As `objdump -T` prints them."""
    printed = subprocess.run(["objdump", "-T", built], check=True, capture_output=True, text=True).stdout
    versions = [word.strip("()").removeprefix("GLIBC_") for word in printed.split() if "GLIBC_" in word]
    newest = max(tuple(int(part) for part in one.split("."))[:2] for one in versions)
    found = read_dynamic(built)
    assert found is not None
    assert found.glibc == newest


def test_a_moved_program_finds_its_library_by_a_relative_search_path(built: Path, tmp_path: Path) -> None:
    (built.parent / "libdeep.so").rename(tmp_path / "libdeep.so")
    moved = built.rename(tmp_path / "program")
    set_search(moved, "$ORIGIN")
    found = read_dynamic(moved)
    assert found is not None
    assert found.search == ["$ORIGIN"]
    assert subprocess.run([moved], check=False).returncode == 42


def test_a_longer_search_path_than_there_is_room_for_is_refused(built: Path) -> None:
    with pytest.raises(ValueError, match="has no room for"):
        set_search(built, "$ORIGIN/" + "x" * 4096)


def test_other_files_have_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    (tmp_path / "empty").touch()
    assert read_dynamic(tmp_path / "text") is None
    assert read_dynamic(tmp_path / "empty") is None
