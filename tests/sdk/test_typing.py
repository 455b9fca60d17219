"""mypy --strict on danubefiles, with the SDK installed by pip."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).resolve().parent / "cases"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the SDK's package only."""
    place = tmp_path_factory.mktemp("sdk")
    shutil.copytree(ROOT / "sdk", place / "sdk", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", place, place / "sdk"],
        check=True,
    )
    venv.create(place / "venv", symlinks=True)
    packages = next((place / "venv" / "lib").iterdir()) / "site-packages"
    zipfile.ZipFile(next(place.glob("danube_sdk-*.whl"))).extractall(packages)
    return place / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def errors(python: Path) -> dict[str, set[tuple[int, str]]]:
    """File name → the errors in it as (line, code). One run checks both files, in a directory like an application's."""
    for case in CASES.glob("*.py"):
        shutil.copy(case, python.parent)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-color-output", "--show-error-codes"]
    words += [
        "--cache-dir",
        os.devnull,
        "--python-executable",
        str(python),
        *(case.name for case in CASES.glob("*.py")),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=python.parent)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.*?):(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert bool(found) == bool(done.returncode), done.stdout
    return {
        case.name: {(int(line), code) for file, line, code in found if file == case.name} for case in CASES.glob("*.py")
    }


def marked(danubefile: Path) -> set[tuple[int, str]]:
    """The errors that the file's comments announce, as (line, code)."""
    lines = enumerate(danubefile.read_text().splitlines(), 1)
    marks = [(number, line.partition("# error: ")[2]) for number, line in lines if "# error: " in line]
    return {(number, code) for number, codes in marks for code in codes.split(", ")}


def test_a_danubefile_that_uses_everything_passes(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["uses_everything.py"] == set()


def test_every_mistake_is_found_where_it_is(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert len(marked(CASES / "mistakes.py")) > 15
    assert errors["mistakes.py"] == marked(CASES / "mistakes.py")
