"""What tests need of npm (`tests/npm`), exactly as its lock file says and without running anybody's scripts.

python -m build_steps.npm
"""

import subprocess
import sys
from pathlib import Path

from build_steps.web import BuildFailed, find_npm

PLACE = Path(__file__).resolve().parent.parent / "tests" / "npm"


def main() -> int:
    """The exit code of npm."""
    try:
        words = [*find_npm(), "ci", "--ignore-scripts", "--loglevel", "error"]
    except BuildFailed as error:
        print(f"What tests need of npm was not installed: {error}", file=sys.stderr)
        return 1
    return subprocess.run(words, cwd=PLACE, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
