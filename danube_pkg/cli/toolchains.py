"""How the toolchains of a repository are recognised, and built as the project itself does: with its own tool and its
lock file. Pure: from the names and texts of a few files."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from danube_pkg.kit.records import Record

READ_NAMES = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
    "tox.ini",
    "uv.lock",
    "poetry.lock",
    "conftest.py",
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    ".npmrc",
    ".yarnrc.yml",
    "go.mod",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain",
    "rust-toolchain.toml",
    "pom.xml",
    "mvnw",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gradlew",
    "CMakeLists.txt",
    "meson.build",
    "Makefile",
    "Dockerfile",
    "tests",
    "test",
)
"""Names in a directory by which its toolchains are recognised."""

PYPI = ("files.pythonhosted.org", "pypi.org")
NPM = ("registry.npmjs.org",)
YARN = ("registry.npmjs.org", "registry.yarnpkg.com")
GO = ("proxy.golang.org", "sum.golang.org")
CRATES = ("index.crates.io", "static.crates.io")
RUSTUP = ("static.rust-lang.org",)
MAVEN = ("repo.maven.apache.org",)
GRADLE = (
    "*.gradle.org",
    "github.com",  # the wrapper's distributions
    "release-assets.githubusercontent.com",
    "repo.maven.apache.org",
)
"""The public registries of each tool, as an egress allowlist names them."""

_REGISTRY = re.compile(
    r"""(?:"resolved": "|^  resolved "|^registry ?= ?"?|registry = "|^url = "|npmRegistryServer: "?)https://([a-z0-9.-]+)""",
    re.M,
)
"""A registry's host in package-lock.json, yarn.lock, .npmrc, uv.lock, poetry.lock and .yarnrc.yml."""


class Toolchain(Record):
    """How one kind of project is built. steps: (name, command). image: "" for the machine's own programs.

    allowlist: what its tools fetch from. directory: below the repository's root, "" for the root.
    """

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]
    allowlist: tuple[str, ...] = ()
    directory: str = ""


def toolchains(files: Mapping[str, str]) -> tuple[Toolchain, ...]:
    """The toolchains of a directory. files: the texts of those in `READ_NAMES` that exist; "" for a directory.

    A Makefile counts only if no other toolchain is found, since it usually calls the others.
    """
    recognised = (_python, _node, _go, _rust, _maven, _gradle, _cmake, _meson)
    found = [one for one in (recognise(files) for recognise in recognised) if one is not None]
    make = _make(files) if not found else None
    return (*found, make) if make is not None else tuple(found)


def _python(files: Mapping[str, str]) -> Toolchain | None:
    requirements = [one for one in files if one.endswith("requirements.txt") or one.startswith("requirements-")]
    project = _toml(files.get("pyproject.toml", ""))
    is_package = "setup.py" in files or bool({"project", "build-system"} & project.keys())
    is_package = is_package or "poetry" in _table(project, "tool")
    tox = "tox.ini" in files or "tox" in _table(project, "tool")
    if not (requirements or is_package or tox or "uv.lock" in files):
        return None
    texts = "".join(files.get(one, "") for one in ("pyproject.toml", "setup.cfg", "tox.ini", *requirements))
    if "pytest" in texts or "conftest.py" in files:
        test = ("Test", "python -m pytest")
    elif {"tests", "test"} & files.keys():
        test = ("Test", "python -m unittest discover")
    else:
        test = ("Check", "python -m pip check")
    venv, programs = "python3 -m venv build/venv", "build/venv/bin"
    if tox:
        steps = [("Install", f"{venv} && {programs}/pip install tox"), ("Test", f"{programs}/tox run")]
    elif "uv.lock" in files:
        run = test[1] if test[0] == "Test" else "python -c 'print(\"installed\")'"
        steps = [("Install", f"{venv} && {programs}/pip install uv && {programs}/uv sync --locked")]
        steps.append((test[0], f"{programs}/uv run --locked {run}"))
    elif "poetry.lock" in files:
        steps = [("Install", f"{venv} && {programs}/pip install poetry && {programs}/poetry install")]
        steps.append((test[0], f"{programs}/poetry {f'run {test[1]}' if test[0] == 'Test' else 'check --lock'}"))
    else:
        wanted = [f"-r {one}" for one in sorted(requirements)]
        wanted += _installed(project) if is_package else []
        wanted += ["pytest"] if "pytest" in test[1] else []
        groups = any(one.startswith("--group") for one in wanted)
        first = f"{venv} && {programs}/pip install --upgrade pip" if groups else venv
        steps = [
            ("Install", f"{first} && {programs}/pip install {' '.join(wanted)}"),
            (test[0], f"{programs}/{test[1]}"),
        ]
    return Toolchain("Python", "python:3.12", tuple(steps), _hosts(files, PYPI, "uv.lock", "poetry.lock"))


def _installed(project: Mapping[str, Any]) -> list[str]:
    """The project itself with what its tests need."""
    known = ("test", "tests", "testing", "dev")
    extras = [one for one in known if one in _table(_table(project, "project"), "optional-dependencies")][:1]
    groups = [one for one in known if one in _table(project, "dependency-groups")][:1]
    return [f"-e .{f'[{extras[0]}]' if extras else ''}", *(f"--group {one}" for one in groups)]


def _node(files: Mapping[str, str]) -> Toolchain | None:
    """pnpm and yarn are run by npx, which needs neither corepack nor a writable /usr."""
    if "package.json" not in files:
        return None
    package = _json(files["package.json"])
    manager, _, version = str(package.get("packageManager", "")).partition("+")[0].partition("@")
    hosts: Sequence[str] = NPM
    if manager == "pnpm" or (not manager and "pnpm-lock.yaml" in files):
        program = f"npx --yes pnpm@{version or _pnpm_version(files.get('pnpm-lock.yaml', ''))}"
        install = f"{program} install --frozen-lockfile"
    elif manager == "yarn" or (not manager and "yarn.lock" in files):
        hosts = YARN
        classic = version.startswith("1.") or (not version and "# yarn lockfile v1" in files.get("yarn.lock", ""))
        if classic or not version:
            program = f"npx --yes yarn@{version or '1.22'}"  # which starts the yarnPath of .yarnrc.yml, if there is one
        else:
            program = f"npx --yes --package @yarnpkg/cli-dist@{version} yarn"
        install = f"{program} install {'--frozen-lockfile' if classic else '--immutable'}"
    else:
        locked = {"package-lock.json", "npm-shrinkwrap.json"} & files.keys()
        program, install = "npm", "npm ci" if locked else "npm install"
    steps = [("Install", install)]
    scripts = _table(package, "scripts")
    for name in ("lint", "test", "build"):
        if name in scripts and "no test specified" not in str(scripts[name]):
            steps.append((name.capitalize(), f"{program} run {name}"))
    named = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", ".npmrc", ".yarnrc.yml")
    return Toolchain("Node", "node:22", tuple(steps), _hosts(files, hosts, *named))


def _pnpm_version(lock: str) -> str:
    """The newest version that reads a lock file of that version."""
    found = re.search(r"^lockfileVersion: '?([0-9]+)", lock, re.M)
    return {"5": "7", "6": "8"}.get(found[1] if found else "", "10")


def _go(files: Mapping[str, str]) -> Toolchain | None:
    if "go.mod" not in files:
        return None
    return Toolchain("Go", "golang:1.25", (("Build", "go build ./..."), ("Test", "go test ./...")), GO)


def _rust(files: Mapping[str, str]) -> Toolchain | None:
    if "Cargo.toml" not in files:
        return None
    options = "--workspace --locked" if "Cargo.lock" in files else "--workspace"
    pinned = RUSTUP if {"rust-toolchain", "rust-toolchain.toml"} & files.keys() else ()
    steps = (("Build", f"cargo build {options}"), ("Test", f"cargo test {options}"))
    return Toolchain("Rust", "rust:1.90", steps, (*CRATES, *pinned))


def _maven(files: Mapping[str, str]) -> Toolchain | None:
    """Maven 3.9 uses the proxy of the JVM only if a property says so; the others ignore it."""
    if "pom.xml" not in files:
        return None
    program = "sh ./mvnw" if "mvnw" in files else "mvn"
    proxy = "-Daether.connector.http.useSystemProperties=true -Daether.transport.http.useSystemProperties=true"
    return Toolchain(
        "Maven", "maven:3-eclipse-temurin-21", (("Verify", f"{program} --batch-mode {proxy} verify"),), MAVEN
    )


def _gradle(files: Mapping[str, str]) -> Toolchain | None:
    if not {"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"} & files.keys():
        return None
    wrapper = "gradlew" in files
    image = "eclipse-temurin:21" if wrapper else "gradle:8-jdk21"
    steps = (("Build", f"{'sh ./gradlew' if wrapper else 'gradle'} --no-daemon build"),)
    return Toolchain("Gradle", image, steps, GRADLE)


def _cmake(files: Mapping[str, str]) -> Toolchain | None:
    if "CMakeLists.txt" not in files:
        return None
    steps = [("Configure", "cmake -S . -B build"), ("Build", "cmake --build build --parallel")]
    if re.search(r"\b(enable_testing|include\s*\(\s*CTest)", files["CMakeLists.txt"], re.IGNORECASE):
        steps.append(("Test", "ctest --test-dir build --output-on-failure"))
    return Toolchain("CMake", "", tuple(steps))


def _meson(files: Mapping[str, str]) -> Toolchain | None:
    if "meson.build" not in files:
        return None
    steps = (("Configure", "meson setup build"), ("Build", "meson compile -C build"), ("Test", "meson test -C build"))
    return Toolchain("Meson", "", steps)


def _make(files: Mapping[str, str]) -> Toolchain | None:
    if "Makefile" not in files:
        return None
    targets = set(re.findall(r"^([A-Za-z0-9_-]+):(?!=)", files["Makefile"], re.MULTILINE))
    known = [target for target in ("check", "test", "build") if target in targets]
    return Toolchain(
        "Make", "", tuple((target.capitalize(), f"make {target}") for target in known) or (("Make", "make"),)
    )


def _hosts(files: Mapping[str, str], public: Sequence[str], *names: str) -> tuple[str, ...]:
    """The hosts that lock files and settings name, or the tool's public ones where they name none."""
    found = {host for name in names for host in _REGISTRY.findall(files.get(name, ""))}
    return tuple(sorted(found | set(public)))


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}
