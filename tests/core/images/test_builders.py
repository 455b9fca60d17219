"""Commands of builders: what they push, and what they are completed with."""

import pytest

from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.builders import (
    cache_of,
    completed,
    digest_in,
    is_builder,
    targets_of,
)

HOST = "registry.danube-system:5000"
PLAIN = f"/kaniko/executor --context=/workspace --dockerfile=Dockerfile --destination={HOST}/app/web:1"


def targets(command: str) -> list[tuple[str, str]]:
    return [(one.repository, one.tag) for one in targets_of(command, HOST, "docker.io")]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("gcr.io/kaniko-project/executor:latest", True),
        ("gcr.io/kaniko-project/executor:v1.23.2-debug", True),
        ("ghcr.io/osscontainertools/kaniko", True),
        ("martizih/kaniko:v1.28.3", True),
        ("evil.example.org/kaniko-project/executor", False),
        ("host", False),
        ("NOT AN IMAGE", False),
    ],
)
def test_builders_are_known_by_their_repository(image: str, expected: bool) -> None:
    assert is_builder(image, "docker.io") is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (PLAIN, [("app/web", "1")]),
        (f"/kaniko/executor -d {HOST}/a -d={HOST}/b:2", [("a", "latest"), ("b", "2")]),
        (f"/kaniko/executor --destination '{HOST}/a:1' --destination=other.example.org/x", [("a", "1")]),
        (f"{PLAIN} --no-push", []),
        (f"{PLAIN} --no-push=false", [("app/web", "1")]),
        (f"echo {PLAIN}", []),
        (f"{PLAIN} && true", []),
    ],
)
def test_destinations_are_found_in_each_form(command: str, expected: list[tuple[str, str]]) -> None:
    assert targets(command) == expected
    assert targets_of(command, "", "docker.io") == ()


def test_a_destination_that_is_not_an_image_is_refused() -> None:
    with pytest.raises(Permanent, match="is not an image name"):
        targets(f"/kaniko/executor --destination={HOST}/App")


def test_a_named_cache_is_found() -> None:
    assert cache_of(f"{PLAIN} --cache-repo={HOST}/other/cache", HOST, "docker.io") == "other/cache"
    assert cache_of(PLAIN, HOST, "docker.io") == ""


def test_a_command_gets_what_it_lacks_and_nothing_twice() -> None:
    assert completed(PLAIN, [HOST], untrusted=False) == (
        f"{PLAIN} --force --insecure-registry={HOST} --digest-file=/dev/stdout"
    )
    own = f"{PLAIN} --force --digest-file=/workspace/digest"
    assert completed(own, [], untrusted=False) == own
    assert completed(f"{PLAIN} --no-push", [], untrusted=True).endswith("--no-push --force --no-push-cache")


@pytest.mark.parametrize("command", ["make", "/kaniko/executor --x\nmake", "/kaniko/executor $A", "'open", "executorx"])
def test_a_script_stays_as_it_is(command: str) -> None:
    assert completed(command, [HOST], untrusted=True) == command


def test_the_last_digest_of_the_output_is_the_images() -> None:
    layer, image = (f"sha256:{digit * 64}" for digit in "ab")
    assert digest_in(f"{layer}INFO pushed the layer\n{image}INFO pushed\n".encode()) == image
    assert digest_in(f"{layer}\n{image}".encode()) == image
    assert digest_in(f"{image}0 {'x' * 20_000}".encode()) == ""
    assert digest_in(b"") == ""
