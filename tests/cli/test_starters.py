"""The files that `danube init` writes for each kind of repository are a valid danubefile and a valid pipeline."""

import json
from pathlib import Path

import pytest

from danube_pkg.adapters.configuration.marked_yaml import parse_yaml
from danube_pkg.cli import starters
from danube_pkg.cli.found_toolchains import find_toolchains
from danube_pkg.cli.toolchains import CRATES, GO, GRADLE, MAVEN, NPM, PYPI, toolchains
from danube_pkg.cli.toolchains import YARN as YARN_HOSTS
from danube_pkg.core.configuration.kinds import ConfigurationFiles
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.danubefile import Outline, read_danubefile
from danube_pkg.core.documents.marked import Findings, Marked


def outline_of(text: str) -> Outline:
    findings = Findings()
    outline = read_danubefile(text.encode(), "danubefile.py", findings)
    assert not findings
    assert outline is not None
    compile(text, "danubefile.py", "exec")
    return outline


def check_configuration(files: dict[str, str]) -> None:
    findings, documents = Findings(), list[Marked]()
    for name, text in sorted(files.items()):
        if name.endswith(".yaml"):
            documents += parse_yaml(text.encode(), name, findings)
    state, found = read_configuration(ConfigurationFiles("r", "/c", tuple(documents), findings.sorted()))
    assert found == ()
    assert state is not None


EXTRAS = "[project.optional-dependencies]\ntest = []\ndev = []\n[dependency-groups]\ndev = []\n"
INITIAL = json.dumps({"scripts": {"test": 'echo "Error: no test specified" && exit 1'}})
SCRIPTS = json.dumps({"scripts": {"test": "vitest", "build": "vite build", "dev": "vite"}})


UV = "build/venv/bin/uv"
POETRY = "build/venv/bin/poetry"
PNPM, YARN = "npx --yes pnpm", "npx --yes yarn"


@pytest.mark.parametrize(
    ("files", "commands", "image", "hosts"),
    [
        (
            {"pyproject.toml": "[project]", "tests": ""},
            ["pip install -e .", "-m unittest discover"],
            "python:3.12",
            PYPI,
        ),
        ({"requirements.txt": "flask\npytest"}, ["install -r requirements.txt", "-m pytest"], "python:3.12", PYPI),
        (
            {"setup.py": "", "requirements-dev.txt": ""},
            ["-r requirements-dev.txt -e .", "-m pip check"],
            "python:3.12",
            PYPI,
        ),
        ({"pyproject.toml": EXTRAS, "conftest.py": ""}, ["-e .[test] --group dev", "-m pytest"], "python:3.12", PYPI),
        (
            {"pyproject.toml": "", "uv.lock": "", "conftest.py": ""},
            [f"{UV} sync --locked", f"{UV} run --locked python -m pytest"],
            "python:3.12",
            PYPI,
        ),
        (
            {"pyproject.toml": "[tool.poetry]", "poetry.lock": "", "conftest.py": ""},
            [f"{POETRY} install", f"{POETRY} run python -m pytest"],
            "python:3.12",
            PYPI,
        ),
        ({"tox.ini": "[testenv]"}, ["pip install tox", "build/venv/bin/tox run"], "python:3.12", PYPI),
        (
            {"package.json": SCRIPTS, "package-lock.json": ""},
            ["npm ci", "npm run test", "npm run build"],
            "node:22",
            NPM,
        ),
        ({"package.json": "no JSON", "npm-shrinkwrap.json": ""}, ["npm ci"], "node:22", NPM),
        ({"package.json": INITIAL}, ["npm install"], "node:22", NPM),
        (
            {"package.json": SCRIPTS, "pnpm-lock.yaml": "lockfileVersion: '6.0'"},
            [f"{PNPM}@8 install --frozen-lockfile", f"{PNPM}@8 run test", f"{PNPM}@8 run build"],
            "node:22",
            NPM,
        ),
        (
            {"package.json": '{"packageManager": "pnpm@9.1.4+sha512.ab"}', "pnpm-lock.yaml": ""},
            [f"{PNPM}@9.1.4 install"],
            "node:22",
            NPM,
        ),
        (
            {"package.json": "{}", "yarn.lock": "# yarn lockfile v1"},
            [f"{YARN}@1.22 install --frozen-lockfile"],
            "node:22",
            YARN_HOSTS,
        ),
        (
            {"package.json": '{"packageManager": "yarn@4.5.0"}', "yarn.lock": ""},
            ["@yarnpkg/cli-dist@4.5.0 yarn install --immutable"],
            "node:22",
            YARN_HOSTS,
        ),
        ({"go.mod": ""}, ["go build ./...", "go test ./..."], "golang:1.25", GO),
        (
            {"Cargo.toml": "", "Cargo.lock": ""},
            ["cargo build --workspace --locked", "cargo test --workspace --locked"],
            "rust:1.90",
            CRATES,
        ),
        ({"Cargo.toml": ""}, ["cargo build --workspace", "cargo test --workspace"], "rust:1.90", CRATES),
        ({"pom.xml": ""}, ["mvn --batch-mode"], "maven:3-eclipse-temurin-21", MAVEN),
        ({"pom.xml": "", "mvnw": ""}, ["sh ./mvnw --batch-mode"], "maven:3-eclipse-temurin-21", MAVEN),
        ({"build.gradle.kts": ""}, ["gradle --no-daemon build"], "gradle:8-jdk21", GRADLE),
        ({"settings.gradle": "", "gradlew": ""}, ["sh ./gradlew --no-daemon build"], "eclipse-temurin:21", GRADLE),
        ({"CMakeLists.txt": "enable_testing()"}, ["cmake -S", "cmake --build", "ctest"], "", ()),
        ({"CMakeLists.txt": "project(x)"}, ["cmake -S", "cmake --build"], "", ()),
        ({"meson.build": ""}, ["meson setup", "meson compile", "meson test"], "", ()),
        ({"Makefile": "test: x\n\ttrue\nVAR := 1\ncheck:\n"}, ["make check", "make test"], "", ()),
        ({"Makefile": "all:\n"}, ["make"], "", ()),
        ({}, ["exit 1"], "", ()),
        ({"pyproject.toml": "[tool.ruff]"}, ["exit 1"], "", ()),
    ],
)
def test_each_toolchain_has_its_commands_image_and_registries(
    files: dict[str, str], commands: list[str], image: str, hosts: tuple[str, ...]
) -> None:
    found = toolchains(files)
    written = starters.danubefile("my app", found)
    steps = [line for line in written.splitlines() if line.startswith("    step.run(")]
    assert len(steps) == len(commands), steps
    for step, command in zip(steps, commands, strict=True):
        assert command in step
    assert outline_of(written).images == ()
    text = starters.pipeline_yaml("app", "https://git.example.org/team/app.git", found)
    assert (f"\n  image: {image}\n" in text) == bool(image)
    (document,) = parse_yaml(text.encode(), "app.yaml", Findings())
    listed = document.value["spec"].value.get("egress_allowlist")
    assert [one.value for one in listed.value] == sorted(hosts) if listed else not hosts
    check_configuration({"pipelines/app.yaml": text})


@pytest.mark.parametrize(
    ("files", "host"),
    [
        ({"package.json": "{}", ".npmrc": "registry=https://npm.example.org/team/"}, "npm.example.org"),
        ({"package.json": "{}", "package-lock.json": '"resolved": "https://mirror.test/a.tgz"'}, "mirror.test"),
        ({"package.json": "{}", "yarn.lock": '  resolved "https://yarn.test/a.tgz#1"'}, "yarn.test"),
        ({"pyproject.toml": "", "uv.lock": 'source = { registry = "https://index.test/simple" }'}, "index.test"),
    ],
)
def test_registries_that_the_project_names_are_in_the_allowlist(files: dict[str, str], host: str) -> None:
    assert host in toolchains(files)[0].allowlist


def test_with_several_toolchains_each_step_names_its_image() -> None:
    found = toolchains({"pyproject.toml": "[project]", "package.json": SCRIPTS, "Makefile": "test:\n"})
    outline = outline_of(starters.danubefile("both", found))
    assert outline.images == ("python:3.12", "node:22")
    assert outline.steps[0].name == "Python: Install"


def test_projects_of_a_monorepo_are_built_in_their_directories(tmp_path: Path) -> None:
    for name in (
        "services/api/go.mod",
        "services/web/package.json",
        "services/api/vendor/x/go.mod",
        "node_modules/package.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = find_toolchains(tmp_path)
    assert [(one.name, one.directory) for one in found] == [("Go", "services/api"), ("Node", "services/web")]
    written = starters.danubefile("shop", found)
    assert 'name="services/api: Test", image="golang:1.25", working_directory="services/api"' in written
    assert outline_of(written).images == ("golang:1.25", "node:22")


def test_a_first_user_logs_in_and_administers() -> None:
    hashed = "$2b$12$" + "a" * 53
    files = starters.configuration(user=starters.FirstUser("ada@example.org", hashed))
    check_configuration(files)
    assert hashed in files["users.yaml"]
    assert 'members: [{email: "ada@example.org", role: admin}], global_admin: true' in files["teams.yaml"]


def test_a_starter_configuration_is_valid_with_and_without_a_pipeline() -> None:
    check_configuration(starters.configuration())
    check_configuration(starters.configuration("git@git.example.org:team/app.git"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("git@git.example.org:team/My App.git", "my-app"),
        ("https://git.example.org/team/shop/", "shop"),
        ("/srv/Ünïcode", "n-code"),
        ("/srv/---", "app"),
        ("x" * 100, "x" * 63),
    ],
)
def test_a_pipeline_is_named_after_its_repository(text: str, name: str) -> None:
    assert starters.pipeline_name(text) == name
