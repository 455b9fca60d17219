"""The lock files hold what pyproject.toml asks for, with hashes, and say nothing of where packages come from."""

import re
import tomllib

import pytest

from tests.tidy.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {"requirements.lock": None, "requirements-dev.lock": "dev", "requirements-release.lock": "release"}


def pins(lock: str) -> dict[str, tuple[str, int]]:
    """Each package: its version, and how many hashes it has."""
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    found = [re.match(r"([a-z0-9.-]+)==(\S+)", block) for block in blocks]
    return {m[1]: (m[2], block.count("--hash=sha256:")) for m, block in zip(found, blocks, strict=True) if m}


def names(requirements: list[str]) -> set[str]:
    found = [re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements]
    return {re.sub(r"[._-]+", "-", match[0]).lower() for match in found if match}


@pytest.mark.parametrize("lock", EXTRAS)
def test_everything_that_is_asked_for_is_pinned_with_hashes(lock: str) -> None:
    extra = EXTRAS[lock]
    asked = names(PROJECT["dependencies"]) | (names(PROJECT["optional-dependencies"][extra]) if extra else set())
    assert asked <= set(pins(lock)), "make lock"
    assert {name for name, (_, hashes) in pins(lock).items() if not hashes} == set()


def test_the_lock_files_agree() -> None:
    runtime = pins("requirements.lock")
    for lock in EXTRAS:
        assert {name: pins(lock).get(name) for name in runtime} == runtime, "make lock"


@pytest.mark.parametrize("lock", EXTRAS)
def test_no_address_is_in_them(lock: str) -> None:
    assert not re.search(r"https?://|^--(extra-)?index|^--find-links", (ROOT / lock).read_text(), re.MULTILINE)


def test_the_sdk_asks_for_no_more_than_danube_does() -> None:
    sdk = tomllib.loads((ROOT / "sdk" / "pyproject.toml").read_text())["project"]
    assert set(sdk["dependencies"]) <= set(PROJECT["dependencies"])
    assert sdk["requires-python"] == PROJECT["requires-python"]


def test_one_version_everywhere() -> None:
    import danube
    import danube_pkg

    assert PROJECT["version"] == danube.__version__ == danube_pkg.__version__
