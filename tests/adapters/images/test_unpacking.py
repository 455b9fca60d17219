"""Images that skopeo pushes and Danube pulls and unpacks, compared with the trees that umoci unpacks."""

import gzip
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.images.store import SINGLE_OWNER
from danube_pkg.core.images.reference import Image
from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.containers import busybox
from tests.adapters.images.setup import ImageSetup, open_image_setup
from tests.support.image_layouts import (
    ARM64,
    Entry,
    Layout,
    Packed,
    archive,
    directory,
    file,
    hard_link,
    link,
    listing,
    packed,
    push,
    push_by_skopeo,
    run,
)
from tests.support.registry import Registry

BASE = [
    directory("etc"),
    file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
    file("etc/shadow", "secret", mode=0o640, group=42),
    directory("usr/bin"),
    file("usr/bin/tool", b"\x7fELF" + b"x" * 5000, mode=0o4755),
    file("usr/bin/group-tool", "y", mode=0o2755, group=8),
    hard_link("usr/bin/same", "usr/bin/tool"),
    link("bin", "usr/bin"),
    link("absolute", "/etc/passwd"),
    link("dangling", "/no/such/place"),
    link("upwards", "../../../etc/passwd"),
    directory("var/spool", mode=0o1777),
    directory("home/user", user=1000, group=1000, mode=0o700),
    file("home/user/" + "n" * 200, "long"),
    file("home/user/" + "d" * 120 + "/" + "e" * 120 + "/f", "deep"),
    file("grün/näme", "not ASCII"),
    Entry("run/pipe", kind=tarfile.FIFOTYPE, mode=0o600),
    file("empty", user=65534, group=65534),
]
"""One member of each kind that images have."""

CHANGES = [
    file("etc/.wh.shadow"),
    file("bin/new", "through the link"),
    file("usr/bin/tool", "replaced", mode=0o755),
    file("var/.wh..wh..opq"),
    file("var/log/kept", "of this layer"),
    directory("home/user", user=0, group=0, mode=0o755),
    link("empty", "etc/passwd"),
    file("absolute", "a file where a link was"),
    directory("dangling"),
    file("grün", "a file where a directory was"),
    file("no/.wh.thing"),
]

OPAQUE_AMONG_NEW = [
    directory("usr"),
    file("usr/bin/first", "before the whiteout"),
    file("usr/.wh..wh..opq"),
    file("usr/share/second", "behind it"),
    file("etc/.wh.passwd"),
    file("etc/passwd", "hidden and written by the same layer"),
    hard_link("etc/passwd-", "etc/passwd"),
]

IMAGES: dict[str, Sequence[Sequence[Entry]]] = {
    "multi-layer": [BASE, CHANGES, OPAQUE_AMONG_NEW],
    "one-layer": [BASE],
    "busybox": [busybox()],
    "default-user": [busybox(), [file("home/node/mine", "x", user=1000, group=1000, mode=0o600)]],
    "no-shell": [[file("program", b"\x7fELF", mode=0o755)]],
    "whiteouts-without-files": [
        [file("a", "1")],
        [file(".wh.b"), file("deep/er/.wh.c"), file(".wh.a"), file("a", "2")],
    ],
    "everything-hidden": [BASE, [file(".wh..wh..opq"), file("left", "alone")]],
    "root-of-its-own": [[directory("./", mode=0o700, user=5), file("./x", "1")]],
    "files-of-aufs": [[file("a", "1")], [file(".wh..wh.plnk/1"), directory(".wh..wh.orph"), file("b", "2")]],
    "five-thousand-files": [[file(f"d{number % 50}/f{number}", str(number)) for number in range(5000)]],
}


def expected(layout: Layout, tag: str, directory_: Path) -> list[str]:
    """The listing of the tree that umoci unpacks."""
    words = ["--rootless"] if os.geteuid() != 0 else []
    run("umoci", "unpack", *words, "--image", f"{layout.path}:{tag}", str(directory_))
    return listing(directory_ / "rootfs")


async def pulled(setup: ImageSetup, registry: Registry, layout: Layout, tag: str) -> Image:
    name = f"{registry.host}/test/{tag}:1"
    push(layout, tag, name)
    return await setup.pull(name)


@pytest.mark.parametrize(
    "tag", [pytest.param(tag, marks=pytest.mark.long if tag == "five-thousand-files" else ()) for tag in IMAGES]
)
async def test_the_tree_is_the_one_of_umoci(setup: ImageSetup, registry: Registry, tmp_path: Path, tag: str) -> None:
    user = "node" if tag == "default-user" else ""
    layout = Layout(tmp_path / "layout").image(tag, IMAGES[tag], config={"User": user})
    image = await pulled(setup, registry, layout, tag)
    assert image.config.user == user
    found = listing(setup.root(image))
    assert found
    assert found == expected(layout, tag, tmp_path / "umoci")


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd"])
async def test_each_compression_gives_the_same_tree(
    setup: ImageSetup, registry: Registry, tmp_path: Path, packing: str
) -> None:
    layout = Layout(tmp_path / "layout").image("packed", [BASE], packing=packing)
    image = await pulled(setup, registry, layout, "packed")
    layout_of_gzip = Layout(tmp_path / "gzip").image("packed", [BASE])
    assert listing(setup.root(image)) == expected(layout_of_gzip, "packed", tmp_path / "umoci")


async def test_a_layer_of_several_streams(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    """As parallel compressors write them, with bytes after the archive's end."""
    data = archive(BASE) + b"\0" * 5000
    whole = packed(data)
    streams = b"".join(gzip.compress(data[at : at + 4000], mtime=0) for at in range(0, len(data), 4000))
    layout = Layout(tmp_path / "layout").image("streams", [Packed(streams, whole.media_type, whole.diff_id)])
    image = await pulled(setup, registry, layout, "streams")
    assert len(listing(setup.root(image))) > len(BASE)


async def test_docker_manifests_are_read_as_well(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").image("docker", [BASE, CHANGES])
    name = f"{registry.host}/test/docker:2"
    push_by_skopeo(layout, "docker", name, "--format", "v2s2")
    image = await setup.pull(name)
    assert listing(setup.root(image)) == expected(layout, "docker", tmp_path / "umoci")


async def test_the_architecture_of_this_machine_is_chosen(
    setup: ImageSetup, registry: Registry, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "layout")
    layers = {name: [BASE, [file("which", name)]] for name in (ARM64, "amd64")}
    manifests = {name: layout.manifest(layers[name], architecture=name) for name in layers}
    layout.index("many", manifests)
    image = await pulled(setup, registry, layout, "many")
    assert (setup.root(image) / "which").read_text() == "amd64"
    assert image.manifest == manifests["amd64"]["digest"]
    assert image.digest != image.manifest
    alone = Layout(tmp_path / "alone").image("one", layers["amd64"])  # umoci does not choose
    assert listing(setup.root(image)) == expected(alone, "one", tmp_path / "umoci")


async def test_owners_are_stored_as_attributes_if_there_is_one_id(registry: Registry, tmp_path: Path) -> None:
    """In the format that umoci and other tools use."""
    async with open_image_setup(
        tmp_path / "one", RegistrySpec(registry.host, insecure=True), owners=SINGLE_OWNER
    ) as one:
        layout = Layout(tmp_path / "layout").image("owners", [[file("x", "1", user=1000, group=300), file("y", "2")]])
        image = await pulled(one, registry, layout, "owners")
        root = one.root(image)
        assert os.getxattr(root / "x", "user.rootlesscontainers") == b"\x08\xe8\x07\x10\xac\x02"
        assert os.listxattr(root / "y") == []
        assert (root / "x").stat().st_uid == os.geteuid()


async def test_ids_beyond_those_of_pods_are_mapped(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout").image("far", [[file("x", "1", user=1000660000, group=70000)]])
    image = await pulled(setup, registry, layout, "far")
    status = (setup.root(image) / "x").stat()
    assert (status.st_uid, status.st_gid) in ((65534, 65534), (os.geteuid(), os.getegid()))


async def test_device_nodes_in_dev_are_ignored(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    """Root file systems have them, but a container has its own /dev."""
    null = Entry("dev/null", kind=tarfile.CHRTYPE, mode=0o666)
    layout = Layout(tmp_path / "layout").image("dev", [[directory("dev"), null, file("x", "1")]])
    image = await pulled(setup, registry, layout, "dev")
    assert [line.split()[0] for line in listing(setup.root(image))] == ["dev", "x"]


async def test_attributes_of_overlayfs_are_left_out(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    noted = file(
        "x",
        "1",
        pax={
            "SCHILY.xattr.user.note": "kept",
            "SCHILY.xattr.user.overlay.opaque": "y",
            "SCHILY.xattr.trusted.overlay.redirect": "/etc",
            "SCHILY.xattr.user.rootlesscontainers": "forged",
        },
    )
    layout = Layout(tmp_path / "layout").image("attributes", [[noted]])
    image = await pulled(setup, registry, layout, "attributes")
    path = setup.root(image) / "x"
    assert os.listxattr(path) == ["user.note"]
    assert os.getxattr(path, "user.note") == b"kept"
