"""The lock files hold what pyproject.toml asks for, with hashes, and say nothing of where packages come from."""

import re
import tomllib

import pytest

import danube
import danube_pkg
from tests.tidy import dependencies
from tests.tidy.findings import assert_empty
from tests.tidy.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

ASKED = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-dev.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
    "requirements-release.lock": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["release"],
    "requirements-web.lock": re.findall(r"printf '(\S+)\\n' \| \$\(LOCK\)", (ROOT / "Makefile").read_text()),
}
"""By lock file: what it is made from."""

_PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / lock).read_text()))


def test_every_lock_file_is_checked() -> None:
    assert set(ASKED) == {path.name for path in ROOT.glob("requirements*.lock")}
    assert all(ASKED.values())


@pytest.mark.parametrize("lock", ASKED)
def test_everything_that_is_required_is_pinned_to_a_version_that_is_allowed(lock: str) -> None:
    assert_empty(dependencies.unmet(ASKED[lock], pins(lock)))


@pytest.mark.parametrize("lock", ASKED)
def test_every_pin_stands_once_and_has_hashes(lock: str) -> None:
    blocks = _PIN.split((ROOT / lock).read_text())
    names, rests = blocks[1::3], blocks[3::3]
    assert len(names) == len(set(names))
    assert {name for name, rest in zip(names, rests, strict=True) if "--hash=sha256:" not in rest} == set()


def test_the_lock_files_agree() -> None:
    runtime = pins("requirements.lock")
    for lock in ("requirements-dev.lock", "requirements-release.lock"):
        assert {name: pins(lock).get(name) for name in runtime} == runtime, "make lock"


@pytest.mark.parametrize("lock", ASKED)
def test_no_address_is_in_them(lock: str) -> None:
    assert not re.search(r"https?://|^--(extra-)?index|^--find-links", (ROOT / lock).read_text(), re.MULTILINE)


def test_the_sdk_requires_no_more_than_danube_does() -> None:
    sdk = tomllib.loads((ROOT / "sdk" / "pyproject.toml").read_text())["project"]
    assert set(sdk["dependencies"]) <= set(PROJECT["dependencies"])
    assert sdk["requires-python"] == PROJECT["requires-python"]


def test_one_version_everywhere() -> None:
    assert PROJECT["version"] == danube.__version__ == danube_pkg.__version__
