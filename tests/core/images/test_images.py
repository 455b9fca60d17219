"""Image names, manifests, configurations and users: text in, values or an error out."""

import json
from typing import Any

import pytest

from danube_pkg.core.images.manifests import (
    MAX_LAYERS,
    Descriptor,
    Index,
    Manifest,
    Platform,
    check_platform,
    choose,
    platform_of,
    read_configuration,
    read_manifest,
)
from danube_pkg.core.images.reference import (
    HUB,
    Image,
    ImageConfig,
    ImageUnavailable,
    parse_reference,
)
from danube_pkg.core.images.registries import RegistrySpec, endpoints_of, login_names
from danube_pkg.core.images.users import find_user
from danube_pkg.core.reasons import Reason

DIGEST = f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("node:20", f"{HUB}/library/node:20"),
        ("node", f"{HUB}/library/node:latest"),
        ("grafana/grafana", f"{HUB}/grafana/grafana:latest"),
        ("registry.example/builder:latest", "registry.example/builder:latest"),
        ("registry.example:5000/a/b-c__d.e/f:v1.2_3-x", "registry.example:5000/a/b-c__d.e/f:v1.2_3-x"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        (f"node@{DIGEST}", f"{HUB}/library/node@{DIGEST}"),
        (f"registry.example/a:1@{DIGEST}", f"registry.example/a:1@{DIGEST}"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
    ],
)
def test_a_name_is_completed(name: str, full: str) -> None:
    assert str(parse_reference(name, HUB)) == full
    assert str(parse_reference(full, "other.example")) == full


def test_another_default_registry() -> None:
    assert str(parse_reference("tools/node:20", "registry.example:5000")) == "registry.example:5000/tools/node:20"
    assert str(parse_reference("node:20", "registry.example:5000")) == "registry.example:5000/node:20"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "not a repository name"),
        ("Node:20", "names are in lower case: node:20"),
        ("node:", "is not a tag"),
        ("node:a b", "is not a tag"),
        ("node:" + "x" * 129, "is not a tag"),
        ("node@sha256:abc", "is not a digest"),
        ("node@sha512:" + "0" * 128, "is not a digest"),
        ("registry.example/", "not a repository name"),
        ("registry.example/../etc", "not a repository name"),
        ("registry.example/a//b", "not a repository name"),
        ("user:word@registry.example/a", "is not a digest"),
        ("-x.example/a", "is not a host"),
        ("https://registry.example/a", "is not a host"),
        ("127.0.0.1:99999/a", "is not a host"),
        ("127.0.0.1:0/a", "is not a host"),
        ("registry..example/a", "is not a host"),
        (f"{'x' * 64}.example/a", "is not a host"),
        ("[1.2.3.4]/a", "is not a host"),
        ("[dead:::]:5000/a", "is not a host"),
        ("registry.example/" + "a" * 300, "more than 255 characters"),
    ],
)
def test_an_invalid_name_is_refused_with_its_invalid_part(name: str, message: str) -> None:
    with pytest.raises(ImageUnavailable) as refusal:
        parse_reference(name, HUB)
    error = refusal.value
    assert message in f"{error} {error.hint}"
    assert error.reference == Reason.IMAGE_PULL_FAILED
    assert error.hint


def test_endpoints_of_registries() -> None:
    assert [one.url for one in endpoints_of("registry.example", ())] == ["https://registry.example"]
    assert [one.url for one in endpoints_of(HUB, ())] == ["https://registry-1.docker.io"]
    specs = (
        RegistrySpec("a.example", insecure=True),
        RegistrySpec("b.example:5000", mirrors=("http://m.example:1/", "https://n.example/prefix")),
    )
    assert [one.url for one in endpoints_of("a.example", specs)] == ["http://a.example"]
    found = endpoints_of("b.example:5000", specs)
    assert [(one.url, one.mirror, one.plain) for one in found] == [
        ("http://m.example:1", True, True),
        ("https://n.example/prefix", True, False),
        ("https://b.example:5000", False, False),
    ]
    assert "index.docker.io" in login_names(HUB)
    assert login_names("a.example") == ("a.example",)


# --- manifests


def layer(size: int = 1, media_type: str = "application/vnd.oci.image.layer.v1.tar+gzip") -> dict[str, Any]:
    return {"mediaType": media_type, "digest": DIGEST, "size": size}


def manifest(**changes: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 1},
        "layers": [layer()],
    }
    return json.dumps({**document, **changes}).encode()


def test_a_manifest_of_either_kind_is_read() -> None:
    docker = manifest(
        mediaType="application/vnd.docker.distribution.manifest.v2+json",
        config={"mediaType": "application/vnd.docker.container.image.v1+json", "digest": DIGEST, "size": 1},
        layers=[layer(7, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
    )
    for data, size in ((docker, 7), (manifest(), 1)):
        found = read_manifest(data, "x")
        assert isinstance(found, Manifest)
        assert [one.size for one in found.layers] == [size]


def test_the_media_type_of_the_response_is_used_if_the_document_has_none() -> None:
    found = read_manifest(b'{"manifests": []}', "x", "application/vnd.oci.image.index.v1+json; charset=utf-8")
    assert found == Index(())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"x" * (5 << 20), "the limit is"),
        (b'{"schemaVersion": 1}', "schema version 1"),
        (manifest(mediaType="application/vnd.wasm"), "not the media type of an image manifest"),
        (manifest(config={"mediaType": "application/vnd.helm", "digest": DIGEST, "size": 1}), "not a container image"),
        (manifest(layers=[]), "no layers"),
        (manifest(layers=[layer()] * (MAX_LAYERS + 1)), "127"),
        (manifest(layers=[layer(media_type="application/encrypted")]), "cannot be unpacked"),
        (manifest(layers=[layer(media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")]), "cannot be"),
        (manifest(layers=[layer(size=-1)]), "a size"),
        (manifest(layers=[{**layer(), "digest": "sha256:../../etc/passwd"}]), "is not a sha256 digest"),
        (manifest(layers={}), "not a list"),
    ],
)
def test_an_unusable_manifest_is_refused_with_its_cause(data: bytes, message: str) -> None:
    with pytest.raises(ImageUnavailable) as refusal:
        read_manifest(data, "x")
    assert message in str(refusal.value)


def on(architecture: str, variant: str = "", os: str = "linux") -> Descriptor:
    return Descriptor("", f"sha256:{architecture}{variant}{os}", 1, Platform(os, architecture, variant))


@pytest.mark.parametrize(
    ("machine", "offered", "chosen"),
    [
        ("x86_64", [on("arm64", "v8"), on("amd64")], on("amd64")),
        ("x86_64", [on("amd64", "v3"), on("amd64")], on("amd64")),
        ("x86_64", [on("amd64", os="windows"), on("amd64")], on("amd64")),
        ("aarch64", [on("amd64"), on("arm64")], on("arm64")),
        ("aarch64", [on("arm", "v7"), on("arm64", "v8")], on("arm64", "v8")),
        ("armv7l", [on("arm", "v6"), on("arm", "v7")], on("arm", "v7")),
        ("x86_64", [on("unknown", os="unknown"), on("amd64")], on("amd64")),
    ],
)
def test_the_platform_of_the_machine_is_chosen(machine: str, offered: list[Descriptor], chosen: Descriptor) -> None:
    assert choose(Index(tuple(offered)), platform_of(machine), "x") == chosen


def test_an_image_for_another_platform_is_refused_with_those_it_has() -> None:
    with pytest.raises(ImageUnavailable) as refusal:
        choose(Index((on("arm64", "v8"), on("unknown", os="unknown"))), platform_of("x86_64"), "x")
    assert "it is available for linux/arm64/v8; this machine is linux/amd64" in str(refusal.value)
    with pytest.raises(ImageUnavailable):
        check_platform(Platform("linux", "arm64"), platform_of("x86_64"), "x")


def test_a_configuration() -> None:
    document = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Env": ["A=b=c", "EMPTY=", "nothing"], "WorkingDir": "srv//app/", "User": "node", "Cmd": ["x"]},
        "rootfs": {"diff_ids": [DIGEST]},
    }
    found = read_configuration(json.dumps(document).encode(), one_layer(), "x")
    assert found.config == ImageConfig((("A", "b=c"), ("EMPTY", "")), "/srv/app", "node")
    assert found.chain == DIGEST


def one_layer() -> Manifest:
    found = read_manifest(manifest(), "x")
    assert isinstance(found, Manifest)
    return found


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"rootfs": {"diff_ids": []}}, "names 0 layers, its manifest 1"),
        ({"rootfs": {"diff_ids": ["md5:1"]}}, "is not a sha256 digest"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"Env": "A=b"}}, "environment"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"Env": ["A=\0"]}}, "is not text"),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": {"User": 5}}, "'User' is not text"),
        ({}, "rootfs"),
    ],
)
def test_an_unusable_configuration_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageUnavailable) as refusal:
        read_configuration(json.dumps(document).encode(), one_layer(), "x")
    assert message in str(refusal.value)


def test_the_chain_id_is_computed_as_specified() -> None:
    """ChainID(L0|L1) = Digest(ChainID(L0) + " " + DiffID(L1)); the value was computed by sha256sum."""
    a, b = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    two = read_manifest(manifest(layers=[layer(), layer()]), "x")
    assert isinstance(two, Manifest)
    found = read_configuration(json.dumps({"rootfs": {"diff_ids": [a, b]}}).encode(), two, "x")
    assert found.chain == "sha256:" + CHAIN_OF_A_AND_B


CHAIN_OF_A_AND_B = "ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"

# --- users

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001:,,,:/home/node:/bin/sh\nbroken\nother:x:y:z:::\n"
GROUP = "root:x:0:\nnode:x:1001:\ndocker:x:998:other,node\nwheel:x:10:node\n"


@pytest.mark.parametrize(
    ("user", "ids", "home"),
    [
        ("", "0:0", "/root"),
        ("root", "0:0", "/root"),
        ("node", "1000:1001,998,10", "/home/node"),
        ("1000", "1000:1001,998,10", "/home/node"),
        ("node:docker", "1000:998", "/home/node"),
        ("node:5", "1000:5", "/home/node"),
        ("1234", "1234:0", "/"),
        ("1234:5678", "1234:5678", "/"),
    ],
)
def test_the_user_of_an_image_is_resolved_by_its_accounts(user: str, ids: str, home: str) -> None:
    found = find_user(image(user), PASSWD, GROUP)
    assert (str(found), found.home) == (ids, home)


def image(user: str) -> Image:
    return Image("x", DIGEST, DIGEST, DIGEST, ImageConfig(user=user), 1, loaded=False, at=0.0)


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("postgres", "/etc/passwd has no such user"),
        ("root:staff", "/etc/group has no such group"),
        ("70000", "to 65535"),
    ],
)
def test_an_unknown_user_is_refused(user: str, message: str) -> None:
    with pytest.raises(ImageUnavailable) as refusal:
        find_user(image(user), PASSWD, GROUP)
    assert message in str(refusal.value)


def test_an_image_without_accounts_runs_as_root() -> None:
    assert str(find_user(image(""), "", "")) == "0:0"
