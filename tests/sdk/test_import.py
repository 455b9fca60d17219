"""`import danube` imports the SDK everywhere, also beside danube.py, whose name must not hide the package."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import danube, danube.step
from danube import artifacts, ctx, pipeline, secrets, step
from danube._proto import coordinator_pb2
assert danube.pipeline is pipeline and danube.step is step
print(danube.step.__file__)
"""


def run(*words: str, cwd: Path, text: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("place", ["root", "elsewhere"])
@pytest.mark.parametrize("form", ["-c", "standard input", "-m"])
def test_every_way_to_start_python_imports_the_sdk(place: str, form: str, tmp_path: Path) -> None:
    """`-c`, `-m` and a program on standard input have the working directory first on their path."""
    cwd = ROOT if place == "root" else tmp_path
    if form == "-c":
        printed = run("-c", PROGRAM, cwd=cwd)
    elif form == "standard input":
        printed = run("-", cwd=cwd, text=PROGRAM)
    else:
        printed = run("-m", "timeit", "-n1", "-r1", "-s", PROGRAM, cwd=cwd).splitlines()[0]
    assert printed == str(ROOT / "sdk" / "danube" / "step.py")


def test_a_script_in_the_root_imports_the_sdk() -> None:
    """A script has its own directory first on its path, so this one would find danube.py."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"
    assert run("-c", program, cwd=ROOT) == str(ROOT / "sdk" / "danube" / "step.py")


def test_danube_py_is_the_command() -> None:
    assert (ROOT / "danube.py").is_file()
    assert run(str(ROOT / "danube.py"), "--version", cwd=ROOT).startswith("danube ")
