"""mypy --strict on danubefiles, with the SDK installed by pip."""

import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

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


def mypy(python: Path, case: Path) -> set[tuple[int, str]]:
    """The errors as (line, code). The file is checked in a directory of its own, like that of an application."""
    danubefile = python.parent / "danubefile.py"
    shutil.copy(case, danubefile)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-color-output", "--show-error-codes"]
    words += ["--cache-dir", str(python.parent / "cache"), "--python-executable", str(python), str(danubefile)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=python.parent)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^.*?:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    assert bool(found) == bool(done.returncode), done.stdout
    return {(int(line), code) for line, code in found}


def marked(danubefile: Path) -> set[tuple[int, str]]:
    """The errors that the file's comments announce, as (line, code)."""
    lines = enumerate(danubefile.read_text().splitlines(), 1)
    marks = [(number, line.partition("# error: ")[2]) for number, line in lines if "# error: " in line]
    return {(number, code) for number, codes in marks for code in codes.split(", ")}


def test_a_danubefile_that_uses_everything_passes(python: Path) -> None:
    assert mypy(python, CASES / "uses_everything.py") == set()


def test_every_mistake_is_found_where_it_is(python: Path) -> None:
    assert len(marked(CASES / "mistakes.py")) > 15
    assert mypy(python, CASES / "mistakes.py") == marked(CASES / "mistakes.py")
