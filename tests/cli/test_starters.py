"""The files that `danube init` writes for each kind of repository are a valid danubefile and a valid pipeline."""

import json

import pytest

from danube_pkg.adapters.configuration.marked_yaml import parse_yaml
from danube_pkg.cli import starters
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


SCRIPTS = json.dumps({"scripts": {"test": "vitest", "build": "vite build", "dev": "vite"}})


@pytest.mark.parametrize(
    ("files", "names", "image"),
    [
        ({"pyproject.toml": "", "tests": ""}, ["Install", "Test"], "python:3.12"),
        ({"requirements.txt": "flask"}, ["Install", "Test"], "python:3.12"),
        ({"package.json": SCRIPTS, "package-lock.json": ""}, ["Install", "Test", "Build"], "node:22"),
        ({"package.json": "no JSON", "yarn.lock": ""}, ["Install"], "node:22"),
        ({"go.mod": ""}, ["Vet", "Test"], "golang:1.25"),
        ({"Cargo.toml": ""}, ["Build", "Test"], "rust:1.90"),
        ({"Makefile": "test: x\n\ttrue\nVAR := 1\ncheck:\n"}, ["Check", "Test"], ""),
        ({"Makefile": "all:\n"}, ["Make"], ""),
        ({}, ["Hello"], ""),
    ],
)
def test_each_toolchain_has_its_steps(files: dict[str, str], names: list[str], image: str) -> None:
    found = starters.toolchains(files)
    outline = outline_of(starters.danubefile("my app", found))
    assert [step.name for step in outline.steps] == names
    assert outline.images == ()
    text = starters.pipeline_yaml("app", "https://git.example.org/team/app.git", found)
    assert (f"\n  image: {image}\n" in text) == bool(image)
    check_configuration({"pipelines/app.yaml": text})


def test_with_several_toolchains_each_step_names_its_image() -> None:
    found = starters.toolchains({"pyproject.toml": "", "package.json": SCRIPTS, "Makefile": "test:\n"})
    outline = outline_of(starters.danubefile("both", found))
    assert outline.images == ("python:3.12", "node:22")
    assert outline.steps[0].name == "Python: Install"


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
