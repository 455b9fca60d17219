"""Hostile and broken layers: each is refused with its own message, and leaves no files."""

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from backports import zstd

from danube_pkg.adapters.images.packed import LayerBroken, LayerStream
from danube_pkg.adapters.images.tar import MAX_EXTENSION_BYTES, MemberKind, members, pass_over
from danube_pkg.core.images.reference import ImageBounds, ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.reasons import Reason
from tests.adapters.images.setup import ImageSetup, open_image_setup
from tests.support.image_layouts import (
    Entry,
    Layout,
    Packed,
    archive,
    digest,
    directory,
    file,
    hard_link,
    link,
    packed,
    push,
)
from tests.support.registry import Registry

OUTSIDE = "outside-of-every-image"


def raw(change: Callable[[bytearray], None]) -> Packed:
    """A layer with one changed header and a valid checksum."""
    data = bytearray(archive([file("x", "content")]))
    change(data)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return packed(bytes(data))


def huge_extension(data: bytearray) -> None:
    data[156:157] = b"x"
    data[124:136] = b"%011o\0" % (1 << 32)


def unknown_kind(data: bytearray) -> None:
    data[156:157] = b"M"


def no_number(data: bytearray) -> None:
    data[100:108] = b"rwxr-xr-"


def sparse_gnu(data: bytearray) -> None:
    data[156:157] = b"S"


def device(name: str) -> Entry:
    return Entry(name, kind=tarfile.BLKTYPE, mode=0o666)


_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
_WRONG = f"sha256:{'0' * 64}"

HOSTILE: dict[str, tuple[Sequence[Sequence[Entry] | Packed], str]] = {
    "a path with ..": ([[file(f"a/../../{OUTSIDE}", "x")]], "leads out of the image by '..'"),
    "a whiteout with ..": ([[file("a", "x")], [file("../.wh.a", "")]], "leads out of the image by '..'"),
    "a whiteout of ..": ([[file("a/.wh...", "")]], "hides no file"),
    "a link out of the root": (
        [[link("out", f"/{OUTSIDE}")], [file("out/x", "1")]],
        f"would be written through a link to '/{OUTSIDE}', which is not in the image",
    ),
    "a link upwards": (
        [[link("out", f"../../../../../../../../tmp/{OUTSIDE}")], [file("out/x", "1")]],
        "would be written through a link to '/tmp', which is not in the image",
    ),
    "a chain of links": (
        [[link("a", "b"), link("b", "c/d"), directory("c"), link("c/d", f"/{OUTSIDE}"), file("a/x", "1")]],
        "which is not in the image",
    ),
    "links in a circle": ([[link("a", "b"), link("b", "a"), file("a/x", "1")]], "goes through more than 40 links"),
    "a hard link out of the root": ([[hard_link("x", "/etc/hostname")]], "is a hard link to '/etc/hostname'"),
    "a hard link upwards": ([[hard_link("x", "../../../etc/hostname")]], "leads out of the image by '..'"),
    "a hard link to a directory": ([[directory("d"), hard_link("x", "d")]], "is a hard link to the directory 'd'"),
    "a hard link through a link": (
        [[link("out", "/etc"), hard_link("x", "out/hostname")]],
        "is a hard link to 'out/hostname', which is not in the image",
    ),
    "a hard link into the directory that it replaces": (
        [[directory("d"), file("d/x"), hard_link("d", "d/x")]],
        "into what it replaces",
    ),
    "a file below a file": ([[file("a", "1"), file("a/b", "2")]], "is below 'a', which is not a directory"),
    "a device": ([[device("disk")]], "'disk' is a device, which images must not have"),
    "a device through a link": ([[link("dev", "lib"), directory("lib"), device("dev/disk")]], "is a device"),
    "a sparse file": ([raw(sparse_gnu)], "is a sparse file, which is not supported"),
    "a sparse file of pax": ([[file("x", "1", pax={"GNU.sparse.major": "1"})]], "is a sparse file"),
    "a name that is too long": ([[file("n" * 300, "1")]], "has a name of more than 255 bytes"),
    "a path that is too long": ([[file("/".join(["n" * 200] * 30), "1")]], "is not a valid path"),
    "a directory that is too deep behind a link": (
        [
            [
                directory("/".join("d" * 250)),
                link("l", "/".join("d" * 250)),
                *(directory(f"l/{'/'.join('abcdefgh'[:depth])}") for depth in range(1, 9)),
            ]
        ],
        "leads more than 256 directories deep",
    ),
    "a path that is too deep": ([[file("/".join("d" * 300), "1")]], "is 300 directories deep"),
    "a header of gigabytes": ([raw(huge_extension)], f"the limit is {MAX_EXTENSION_BYTES}"),
    "a member of another kind": ([raw(unknown_kind)], "is of the unknown kind"),
    "a mode that is not a number": ([raw(no_number)], "is not a number in its archive"),
    "not an archive": ([packed(b"<html>" + b"x" * 600)], "it is not a tar archive, or it is damaged"),
    "a wrong diff_id": (
        [Packed(gzip.compress(archive([file("x", "1")])), _GZIP, _WRONG)],
        f"its configuration has {_WRONG}",
    ),
    "a cut gzip stream": (
        [Packed(gzip.compress(archive([file("x", os.urandom(9999))]))[:-50], _GZIP, _WRONG)],
        "its gzip stream ends early",
    ),
    "a damaged gzip stream": ([Packed(gzip.compress(b"x" * 9999)[:20] + b"y" * 99, _GZIP, _WRONG)], "is damaged"),
    "a cut zstd stream": (
        [Packed(zstd.compress(archive([file("x", os.urandom(9999))]))[:-50], _ZSTD, _WRONG)],
        "its zstd stream ends early",
    ),
    "a damaged zstd stream": ([Packed(zstd.compress(b"x" * 9999)[:12] + b"y" * 99, _ZSTD, _WRONG)], "is damaged"),
    "a cut archive": ([packed(archive([file("x", b"y" * 9999)])[:2000])], "its archive ends in the middle of a file"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_layer_is_refused_with_its_own_message(
    setup: ImageSetup, registry: Registry, tmp_path: Path, case: str
) -> None:
    layers, message = HOSTILE[case]
    tag = case.replace(" ", "-").replace("..", "dots")
    layout = Layout(tmp_path / "layout").image(tag, layers)
    name = f"{registry.host}/hostile/{tag.replace('_', '-')}:1"
    push(layout, tag, name)
    with pytest.raises(ImageUnavailable) as refusal:
        await setup.pull(name)
    error = refusal.value
    assert message in str(error)
    assert (error.reference, bool(error.hint)) == (Reason.IMAGE_PULL_FAILED, True)
    assert f"layer {len(layers)} of {len(layers)}" in str(error)
    assert setup.left_over() == []
    assert setup.store.list() == []
    assert not Path(f"/{OUTSIDE}").exists()
    assert not Path(f"/tmp/{OUTSIDE}").exists()


def test_messages_differ() -> None:
    messages = [message for _, message in HOSTILE.values()]
    assert len(set(messages)) >= len(messages) - 10


@pytest.mark.parametrize(("compress", "media_type"), [(gzip.compress, _GZIP), (zstd.compress, _ZSTD)])
async def test_a_decompression_bomb_is_stopped_at_the_limit(
    tmp_path: Path, registry: Registry, compress: Callable[[bytes], bytes], media_type: str
) -> None:
    bomb = Packed(compress(archive([file("bomb", b"\0" * (64 << 20))])), media_type, _WRONG)
    layout = Layout(tmp_path / "layout").image("bomb", [bomb])
    push(layout, "bomb", f"{registry.host}/hostile/bomb:1")
    rule, bounds = RegistrySpec(registry.host, insecure=True), ImageBounds(free_bytes=8 << 20)
    async with open_image_setup(tmp_path / "small", rule, bounds=bounds) as setup:
        with pytest.raises(ImageUnavailable, match="it unpacks to more than 8 MB"):
            await setup.pull(f"{registry.host}/hostile/bomb:1")
        assert setup.left_over() == []


async def test_the_number_of_files_is_limited(tmp_path: Path, registry: Registry) -> None:
    layout = Layout(tmp_path / "layout").image("many", [[file(f"f{number}") for number in range(101)]])
    push(layout, "many", f"{registry.host}/hostile/many:1")
    rule = RegistrySpec(registry.host, insecure=True)
    async with open_image_setup(tmp_path / "few", rule, bounds=ImageBounds(files=100)) as setup:
        with pytest.raises(ImageUnavailable, match="more than 100 files"):
            await setup.pull(f"{registry.host}/hostile/many:1")
        assert setup.left_over() == []


async def test_links_are_resolved_inside_the_image(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    """An absolute link starts at the image's own root, and `..` ends there."""
    marker = tmp_path / "marker"
    marker.write_text("of the host")
    top = f"/{tmp_path.parts[1]}"
    layers = [
        [link("up", "../../../../../.."), link("abs", str(tmp_path)), directory(str(tmp_path).lstrip("/"))],
        [file(f"up{marker}", "of the image"), file("abs/other", "of the image")],
    ]
    layout = Layout(tmp_path / "layout").image("inside", layers)
    push(layout, "inside", f"{registry.host}/hostile/inside:1")
    root = setup.root(await setup.pull(f"{registry.host}/hostile/inside:1"))
    assert marker.read_text() == "of the host"
    assert not (tmp_path / "other").exists()
    assert (root / str(marker).lstrip("/")).read_text() == "of the image"
    assert (root / top.lstrip("/")).is_dir()


async def test_a_corrupted_blob_is_refused(setup: ImageSetup, registry: Registry, tmp_path: Path) -> None:
    made = packed(archive([file("x", os.urandom(5000))]))
    layout = Layout(tmp_path / "layout").image("corrupt", [made])
    push(layout, "corrupt", f"{registry.host}/hostile/corrupt:1")
    blob = registry.blob(digest(made.data))
    data = bytearray(blob.read_bytes())
    data[100] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ImageUnavailable, match="was changed in transit or in the registry"):
        await setup.pull(f"{registry.host}/hostile/corrupt:1")
    assert setup.left_over() == []


# --- the tar reader, with archives of the standard library


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_every_format_are_read(format: int) -> None:
    written = io.BytesIO()
    names = ["a", "b" * 100, "c" * 90 + "/" + "d" * 60, *(["e" * 300] if format != tarfile.USTAR_FORMAT else [])]
    with tarfile.open(fileobj=written, mode="w", format=format) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mtime = 700, 2_000_000, 1_700_000_000
            tar.addfile(info, io.BytesIO(b"x" * 700))
        link_ = tarfile.TarInfo("l")
        link_.type, link_.linkname = tarfile.SYMTYPE, "t" * (99 if format == tarfile.USTAR_FORMAT else 200)
        tar.addfile(link_)
    stream = LayerStream(iter([written.getvalue()]), 1 << 30)
    found = []
    for member in members(stream):
        found.append(member)
        pass_over(stream, member)
    assert [member.path.decode() for member in found] == [*names, "l"]
    assert {(member.size, member.user, member.modified_ns) for member in found[:-1]} == {
        (700, 2_000_000, 1_700_000_000 * 10**9)
    }
    assert (found[-1].kind, found[-1].link) == (MemberKind.LINK, link_.linkname.encode())


def test_random_damage_raises_no_other_error() -> None:
    good = archive([file("x", "1" * 600), directory("d"), link("l", "x"), file("g" * 150, "2")])
    for at in range(0, len(good), 7):
        damaged = good[:at] + os.urandom(3) + good[at + 3 :]
        stream = LayerStream(iter([damaged]), 1 << 20)
        with contextlib.suppress(LayerBroken):
            for member in members(stream):
                pass_over(stream, member)
