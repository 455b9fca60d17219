"""The image store: limits, leftovers of killed processes, several processes at once, archives."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.images.archives import open_archive
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.reference import (
    Image,
    ImageBounds,
    ImageUnavailable,
    PackedLayer,
)
from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.faults import faulty_server, waits
from tests.adapters.images.setup import ImageSetup, open_image_setup
from tests.support.image_layouts import (
    MACHINE,
    Entry,
    Layout,
    archive,
    digest,
    directory,
    file,
    packed,
    push,
    run,
)
from tests.support.registry import Registry
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
MEGABYTE = 1 << 20


async def load(setup: ImageSetup, path: Path, name: str) -> Image:
    """Loads an image from a file under a name."""
    with open_archive(path, setup.directory) as opened:
        (archived,) = opened.images(MACHINE)
        (image,) = await setup.images.load(archived, [name])
        return image


def layout_of(path: Path, *entries: Entry) -> Layout:
    return Layout(path).image("latest", [entries])


def roots(setup: ImageSetup) -> Sequence[Path]:
    """Unpacked root file systems."""
    return list((setup.directory / "images").glob("*/roots/*"))


async def test_the_least_recently_used_images_are_removed_first(tmp_path: Path, registry: Registry) -> None:
    for number in range(4):
        layout = layout_of(tmp_path / str(number), file("data", os.urandom(MEGABYTE)))
        push(layout, "latest", f"{registry.host}/store/room{number}:1")
    rule, bounds = RegistrySpec(registry.host, insecure=True), ImageBounds(store_bytes=5 * MEGABYTE)
    async with open_image_setup(tmp_path / "setup", rule, bounds=bounds) as setup:
        held = await setup.pull(f"{registry.host}/store/room0:1")
        setup.root(held)
        for number in (1, 2):
            await setup.pull(f"{registry.host}/store/room{number}:1")
            let_time_pass(setup)
        await setup.pull(f"{registry.host}/store/room3:1")
        kept = {stored.image.name.partition("/")[2] for stored in setup.store.list()}
        assert "store/room0:1" in kept, "a pod uses it"
        assert "store/room3:1" in kept, "it was pulled last"
        assert "store/room1:1" not in kept
        assert len(list((setup.directory / "images" / "layers").iterdir())) < 4


def let_time_pass(setup: ImageSetup) -> None:
    """Sets the last use of everything in the store back by an hour."""
    for path in (*roots(setup), *(setup.directory / "images" / "layers").iterdir()):
        used = path.stat().st_mtime - 3600
        os.utime(path, (used, used))


async def test_an_image_from_a_file_is_never_removed_to_make_room(tmp_path: Path) -> None:
    async with open_image_setup(tmp_path / "setup", bounds=ImageBounds(store_bytes=MEGABYTE)) as setup:
        for number in range(3):
            layout = layout_of(tmp_path / str(number), file("data", os.urandom(MEGABYTE)))
            await load(setup, layout.file(tmp_path / f"{number}.tar"), f"local/kept{number}")
            let_time_pass(setup)
        setup.store.make_room(MEGABYTE)
        assert len(setup.store.list()) == 3


async def test_an_image_in_use_is_kept_until_its_pod_is_removed(tmp_path: Path) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        image = await load(setup, layout_of(tmp_path / "l", file("x", "1")).file(tmp_path / "l.tar"), "local/used")
        pod = tmp_path / "pod"
        pod.mkdir()
        root = setup.store.hold(image, pod)
        assert root is not None
        assert [stored.pods for stored in setup.store.list()] == [1]
        setup.store.remove(image.name)
        assert setup.store.list() == []
        assert (root / "x").read_text() == "1"
        pod.rmdir()
        setup.store.make_room(setup.store.bounds.store_bytes)
        assert roots(setup) == []


async def test_files_are_kept_while_a_name_refers_to_them(tmp_path: Path) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        path = layout_of(tmp_path / "l", file("x", "1")).file(tmp_path / "l.tar")
        for name in ("local/one", "local/other"):
            await load(setup, path, name)
        assert len(roots(setup)) == 1
        assert setup.store.remove("registry.invalid/local/one:latest")
        assert [stored.image.name for stored in setup.store.list()] == ["registry.invalid/local/other:latest"]
        assert setup.store.remove("registry.invalid/local/other:latest")
        assert roots(setup) == []
        assert not setup.store.remove("registry.invalid/local/other:latest")


async def test_holding_a_removed_image_returns_none(tmp_path: Path) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        image = await load(setup, layout_of(tmp_path / "l", file("x", "1")).file(tmp_path / "l.tar"), "local/gone")
        setup.store.remove(image.name)
        assert setup.store.hold(image, tmp_path) is None


async def test_directories_without_permissions_are_removed(tmp_path: Path) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        entries = [directory("a", mode=0), file("a/b/c", "x", mode=0), directory("d", mode=0o555), file("d/e", "y")]
        image = await load(setup, layout_of(tmp_path / "l", *entries).file(tmp_path / "l.tar"), "local/closed")
        root = setup.store.hold(image, tmp_path / "no-pod")
        assert root is not None
        assert (root / "a").stat().st_mode & 0o777 == 0
        setup.store.remove(image.name)
        assert roots(setup) == []


# --- processes that are killed, and several at once

PULL = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from danube_pkg.core.images.registries import RegistrySpec
    from tests.adapters.images.setup import open_image_setup

    async def main(directory, host, name):
        async with open_image_setup(Path(directory), RegistrySpec(host, insecure=True)) as setup:
            print((await setup.pull(name)).chain)

    asyncio.run(main(*sys.argv[1:]))
    """
)


def pulling(setup: Path, host: str, name: str) -> "subprocess.Popen[bytes]":
    """Another process that pulls into the same store."""
    words = [sys.executable, "-c", PULL, str(setup), host, name]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def test_leftovers_of_a_killed_pull_are_removed(tmp_path: Path, registry: Registry) -> None:
    layers = [[file(f"data{number}", os.urandom(MEGABYTE))] for number in range(3)]
    layout = Layout(tmp_path / "layout").image("latest", layers)
    push(layout, "latest", f"{registry.host}/store/killed:1")
    last = digest(packed(archive(layers[2])).data)
    directory_ = tmp_path / "setup"
    with faulty_server(registry.host, lambda request: None) as server:
        released = threading.Event()
        server.fault_of = lambda request: waits(released, request) if last in request.path else None
        name = f"{server.host}/store/killed:1"
        process = pulling(directory_, server.host, name)
        new = directory_ / "images" / "new"
        wait_until(lambda: list(new.glob("*/fs/data1")), 30, "two layers to be unpacked")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert list(new.iterdir())
        wait_until(lambda: not workers_on(new), 30, "the unpacker to end, since its pull was killed")
        released.set()
        server.fault_of = lambda request: None
        async with open_image_setup(directory_, RegistrySpec(server.host, insecure=True)) as setup:
            assert list(new.iterdir()) == []
            image = await setup.pull(name)
            assert {path.name for path in setup.root(image).iterdir()} == {"data0", "data1", "data2"}


def workers_on(new: Path) -> list[str]:
    """Open files below a directory, of any process."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()).startswith(str(new)):
                found.append(str(link))
    return found


async def test_two_processes_pull_the_same_image(tmp_path: Path, registry: Registry) -> None:
    layout = layout_of(tmp_path / "layout", file("data", os.urandom(MEGABYTE)))
    push(layout, "latest", f"{registry.host}/store/twice:1")
    name = f"{registry.host}/store/twice:1"
    processes = [pulling(tmp_path / "setup", registry.host, name) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert len({printed for printed, _ in answers}) == 1
    async with open_image_setup(tmp_path / "setup") as setup:
        assert setup.left_over() == list((tmp_path / "setup/images/layers").iterdir())
        assert len(roots(setup)) == 1


async def test_a_root_that_a_power_failure_may_have_damaged_is_unpacked_again(tmp_path: Path) -> None:
    path = layout_of(tmp_path / "l", file("x", "1")).file(tmp_path / "l.tar")
    async with open_image_setup(tmp_path / "setup") as setup:
        await load(setup, path, "local/torn")
    (root,) = roots(setup)
    (root / "unsafe").write_text("another boot")
    async with open_image_setup(tmp_path / "setup") as setup:
        assert roots(setup) == []
        assert setup.store.list() == []
        await load(setup, path, "local/torn")


async def test_a_layer_that_a_power_failure_has_damaged_is_pulled_again(tmp_path: Path, registry: Registry) -> None:
    base = [file("base", os.urandom(5000))]
    for number in ("1", "2"):
        layout = Layout(tmp_path / number).image("latest", [base, [file("own", number)]])
        push(layout, "latest", f"{registry.host}/store/damaged:{number}")
    async with open_image_setup(tmp_path / "setup", RegistrySpec(registry.host, insecure=True)) as setup:
        await setup.pull(f"{registry.host}/store/damaged:1")
        layer = setup.directory / "images" / "layers" / digest(packed(archive(base)).data)[7:]
        layer.write_bytes(b"\0" * layer.stat().st_size)
        image = await setup.pull(f"{registry.host}/store/damaged:2")
        assert (setup.root(image) / "base").read_bytes() == base[0].content


async def test_a_full_disk_is_reported_and_leaves_no_files(tmp_path: Path, registry: Registry) -> None:
    if os.geteuid() != 0:
        return await disk_full_for_a_user(tmp_path)
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small))
    try:
        layout = layout_of(tmp_path / "l", file("data", b"\0" * (4 * MEGABYTE)))
        push(layout, "latest", f"{registry.host}/store/full:1")
        async with open_image_setup(small / "setup", RegistrySpec(registry.host, insecure=True)) as setup:
            with pytest.raises(ImageUnavailable, match="there is no room on this machine's disk"):
                await setup.pull(f"{registry.host}/store/full:1")
            assert setup.left_over() == []
    finally:
        run("umount", str(small))
    return None


async def disk_full_for_a_user(tmp_path: Path) -> None:
    """Without root there is no small file system to mount; a missing layer fails at the same point."""
    async with open_image_setup(tmp_path / "setup") as setup:
        layers = [PackedLayer(tmp_path / "missing", 0, 5, f"sha256:{'0' * 64}")]

        async def each() -> AsyncIterator[PackedLayer]:
            for layer in layers:
                yield layer

        with pytest.raises(ImageUnavailable, match="could not be written"):
            await setup.store.unpack("x", f"sha256:{'1' * 64}", 1, each())
        assert setup.left_over() == []


async def test_an_unusable_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "setup").mkdir()
    (tmp_path / "setup" / "images").write_text("a file")
    with pytest.raises(Permanent) as refusal:
        async with open_image_setup(tmp_path / "setup"):
            raise AssertionError("opened")
    assert refusal.value.reference == "image-store-unusable"


# --- images in files


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
async def test_an_oci_archive_in_every_packing(tmp_path: Path, packing: str) -> None:
    path = layout_of(tmp_path / "l", file("x", "1")).file(tmp_path / "l.tar")
    if packing != "plain":
        run(packing, "-q", "-k", str(path))
        path = path.with_suffix(".tar.gz" if packing == "gzip" else ".tar.zst")
    async with open_image_setup(tmp_path / "setup") as setup:
        image = await load(setup, path, "local/archive")
        assert (setup.root(image) / "x").read_text() == "1"
        assert image.loaded
        assert await setup.pull("local/archive") == image, "no registry is asked"


async def test_what_docker_save_writes(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "l").image("latest", [[file("x", "1")], [file("y", "2")]], config={"User": "5"})
    target = f"docker-archive:{tmp_path}/saved.tar:local/saved:7"
    run("skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout.path}:latest", target)
    async with open_image_setup(tmp_path / "setup") as setup:
        with open_archive(tmp_path / "saved.tar", tmp_path) as opened:
            (archived,) = opened.images(MACHINE)
            assert [name.rpartition("/")[2] for name in archived.names] == ["saved:7"]
            (image,) = await setup.images.load(archived, archived.names)
        assert {path.name for path in setup.root(image).iterdir()} == {"x", "y"}
        assert image.config.user == "5"


def test_an_archive_of_several_architectures_and_names(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "l")
    manifests = {name: layout.manifest([[file("x", name)]], architecture=name) for name in ("arm64", "amd64")}
    layout.index("local/many:1", manifests)
    layout.image("local/other:2", [[file("y", "1")]])
    with open_archive(layout.file(tmp_path / "l.tar"), tmp_path) as opened:
        found = opened.images(MACHINE)
    assert [one.names for one in found] == [("local/many:1",), ("local/other:2",)]
    assert found[0].digest == manifests["amd64"]["digest"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"x" * 2000), "not a tar archive"),
        (lambda path: path.write_bytes(b""), "neither an index.json nor a manifest.json"),
        (lambda path: path.write_bytes(archive([file("manifest.json", "{}")])), "names no image"),
        (lambda path: path.write_bytes(archive([file("manifest.json", "[")])), "not JSON"),
        (lambda path: path.write_bytes(archive([file("index.json", '{"manifests": []}')])), "names no image"),
        (lambda path: path.write_bytes(path.read_bytes()[:6000]), "it ends in the middle of a file"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_file_that_is_not_an_archive_of_images(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = layout_of(tmp_path / "l", file("x", "1" * 9000)).file(tmp_path / "l.tar")
    damage(path)
    with pytest.raises(ImageUnavailable) as refusal, open_archive(path, tmp_path) as opened:
        opened.images(MACHINE)
    assert message in str(refusal.value)
    assert str(path) in str(refusal.value)


async def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "l", file("x", "1"))
    manifest = next(path for path in (tmp_path / "l/blobs/sha256").iterdir() if b'"layers"' in path.read_bytes())
    manifest.write_bytes(manifest.read_bytes().replace(b"schemaVersion", b"schemaversion"))
    async with open_image_setup(tmp_path / "setup") as setup:
        with pytest.raises(ImageUnavailable, match="has another digest"):
            await load(setup, layout.file(tmp_path / "l.tar"), "local/x")
        assert setup.left_over() == []


async def test_a_pull_and_a_removal_at_once(tmp_path: Path, registry: Registry) -> None:
    """In either order, the image is complete or absent."""
    layout = layout_of(tmp_path / "l", file("x", "1"))
    push(layout, "latest", f"{registry.host}/store/race:1")
    name = f"{registry.host}/store/race:1"
    async with open_image_setup(tmp_path / "setup", RegistrySpec(registry.host, insecure=True)) as setup:
        for _ in range(5):
            image, _ = await asyncio.gather(setup.pull(name), asyncio.to_thread(setup.store.remove, name))
            root = setup.store.hold(image, tmp_path / "no-pod")
            assert root is None or (root / "x").read_text() == "1"
    shutil.rmtree(tmp_path / "setup")
