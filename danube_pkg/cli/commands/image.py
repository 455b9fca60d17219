"""`danube image`: list, load, pull and remove images, before a job needs them or on a machine without network, and make
the coordinator's image for a cluster.

The commands work on the image store, which a running server shares, so that it needs no restart. `pull` uses the
registries and credentials of the server's configuration, if this user owns the server's files, and those of `docker
login`.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from danube_pkg import __version__
from danube_pkg.adapters.images.archives import open_archive
from danube_pkg.adapters.images.root_archives import write_root_image
from danube_pkg.bootstrap.coordinator_image import push_image, write_coordinator_image
from danube_pkg.bootstrap.images import ImageOptions, open_images
from danube_pkg.cli.file_output import copy_output
from danube_pkg.cli.image_settings import image_options
from danube_pkg.cli.output import ago, print_json, print_table, say, show, size
from danube_pkg.core.errors import Invalid
from danube_pkg.core.images.coordinator import coordinator_reference
from danube_pkg.core.images.ports import ImageRequester
from danube_pkg.core.images.reference import ArchivedImage, Image, PackedImage, StoredImage
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.times import iso

COPY_BYTES = 1024**2

BY_HAND = ImageRequester("", Network.HOST, ())
"""A user pulls with what this machine reaches."""


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, act, text in (
        ("load", _load, "load images from an archive of docker save, or an OCI archive"),
        ("import", _import, "make an image of a root file system in a tar archive"),
        ("list", _list, "list the images on this machine"),
        ("pull", _pull, "pull an image from its registry"),
        ("remove", _remove, "remove an image that no job uses"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        if name == "load":
            command.add_argument("file", metavar="FILE", help="the archive, plain or compressed with gzip or zstd")
            command.add_argument("--name", metavar="NAME", help="the image's name (the one in the file)")
        elif name == "import":
            command.add_argument(
                "file",
                metavar="ROOT.tar",
                help="the archive, plain or compressed with gzip or zstd; - for standard input",
            )
            command.add_argument("image", metavar="NAME", help="the image's name, for example debian-local")
        elif name != "list":
            command.add_argument("image", metavar="NAME", help="for example node:20")
        if name == "pull":
            command.add_argument("--http", action="store_true", help="connect to the registry without TLS")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.add_argument(
            "--data",
            metavar="DIR",
            help="the server's data directory (DANUBE_DATA; else ./.danube, else /var/lib/danube, else your own cache)",
        )
        command.set_defaults(act=act)
    _coordinator_arguments(commands.add_parser("coordinator", help=_MAKES, description=f"{_MAKES}, without Docker"))


_MAKES = "make the coordinator's image from this program, for a cluster"


def _coordinator_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", "--out", metavar="FILE", help="write an OCI archive, for containerd or skopeo")
    command.add_argument(
        "--push", metavar="REGISTRY/NAME", help="push it; its tag is Danube's version if none is given"
    )
    command.add_argument("--http", action="store_true", help="connect to the registry without TLS")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(act=_coordinator, data=None)


def main(options: argparse.Namespace) -> int:
    return int(asyncio.run(options.act(options, image_options(options.data, pull_as_server=options.act is _pull))))


async def _coordinator(options: argparse.Namespace, store: ImageOptions) -> int:
    if options.output is None and options.push is None:
        hint = "danube image coordinator --output coordinator.tar, or --push registry.example.org/danube/coordinator"
        raise Invalid("output-missing", "what shall be done with the image?", hint=hint)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "image.tar"
        made = write_coordinator_image(path)
        if options.output is not None:
            with path.open("rb") as source:
                copy_output(options.output, source)
        pushed = await _pushed(made.packed, options, store) if options.push is not None else ""
    name = coordinator_reference(__version__)
    if options.json:
        print_json({"name": name, "digest": made.digest, "size_bytes": made.size_bytes, "pushed": pushed or None})
        return 0
    lines = [f"written: {options.output} ({size(made.size_bytes)}, {name})"] if options.output else []
    for line in [*lines, *([f"pushed: {pushed}"] if pushed else [])]:
        say(line, file=sys.stderr if options.output == "-" else sys.stdout)
    return 0


async def _pushed(image: PackedImage, options: argparse.Namespace, store: ImageOptions) -> str:
    last = str(options.push).rpartition("/")[2]
    name = options.push if ":" in last else f"{options.push}:{coordinator_reference(__version__).rpartition(':')[2]}"
    specs = (RegistrySpec(options.push.partition("/")[0], insecure=True),) if options.http else ()
    return await push_image(image, name, store, specs, lambda update: say(update, file=sys.stderr))


async def _list(options: argparse.Namespace, store: ImageOptions) -> int:
    async with open_images(store) as service:
        images = await service.list()
    rows = [
        (
            one.image.name,
            one.image.digest[7:19],
            size(one.image.size_bytes),
            "file" if one.image.loaded else "registry",
            ago(iso(one.used_at)),
            str(one.pods),
        )
        for one in images
    ]
    heads = ("IMAGE", "DIGEST", "SIZE", "FROM", "USED", "PODS")
    found = show([_stored(one) for one in images], options, lambda _: print_table(heads, rows))
    _say_store(store)
    return found


async def _load(options: argparse.Namespace, store: ImageOptions) -> int:
    path = Path(options.file)
    if not path.is_file():
        raise Invalid("file-missing", f"there is no file {path}", hint="danube image load FILE")
    async with open_images(store) as images:
        await images.open()
        with open_archive(path, store.directory) as archive:
            found = archive.images(images.platform)
            names = [_names(one, options.name, path, count=len(found)) for one in found]
            made = [image for one, wanted in zip(found, names, strict=True) for image in await images.load(one, wanted)]
    _print(made, "loaded", as_json=options.json)
    _say_store(store)
    return 0


async def _import(options: argparse.Namespace, store: ImageOptions) -> int:
    async with open_images(store) as images:
        await images.open()
        with tempfile.TemporaryDirectory(dir=store.directory) as scratch:
            root, archive = Path(options.file), Path(scratch) / "image.tar"
            if options.file == "-":
                root = Path(scratch) / "root.tar"
                with root.open("wb") as file:
                    shutil.copyfileobj(sys.stdin.buffer, file, COPY_BYTES)
            elif not root.is_file():
                raise Invalid("file-missing", f"there is no file {root}", hint="danube image import ROOT.tar NAME")
            with archive.open("w+b") as file:
                write_root_image(root, file, options.image, images.platform)
            with open_archive(archive, store.directory) as opened:
                (found,) = opened.images(images.platform)
                made = await images.load(found, [options.image])
    _print(made, "imported", as_json=options.json)
    _say_store(store)
    return 0


def _names(image: ArchivedImage, wanted: str | None, path: Path, *, count: int) -> Sequence[str]:
    if wanted is not None and count > 1:
        raise Invalid("name-ambiguous", f"{path} has {count} images, so --name is ambiguous", hint="leave --name out")
    names = [wanted] if wanted is not None else image.names
    if not names:
        raise Invalid("name-missing", f"the image in {path} has no name", hint=f"danube image load {path} --name NAME")
    return names


async def _pull(options: argparse.Namespace, store: ImageOptions) -> int:
    host = options.image.partition("/")[0]
    specs = (RegistrySpec(host, insecure=True),) if options.http else ()
    async with open_images(store, lambda: specs) as images:
        image = await images.ensure(options.image, lambda update: say(update, file=sys.stderr), BY_HAND)
    _print([image], "ready", as_json=options.json)
    _say_store(store)
    return 0


async def _remove(options: argparse.Namespace, store: ImageOptions) -> int:
    async with open_images(store) as images:
        known = await images.remove(options.image)
    if options.json:
        print_json(_stored(known))
    return 0


def _say_store(store: ImageOptions) -> None:
    """Where the images are: a server and `danube run` share a store only where both find the same data directory."""
    say(f"image store: {store.directory} (another one: --data DIR)", file=sys.stderr)


def _print(images: Sequence[Image], word: str, *, as_json: bool) -> None:
    if as_json:
        print_json([_described(image) for image in images])
        return
    for image in images:
        say(f"{word}: {image.name} ({size(image.size_bytes)}, {image.digest})")


def _described(image: Image) -> dict[str, object]:
    return {
        "name": image.name,
        "digest": image.digest,
        "manifest": image.manifest,
        "size_bytes": image.size_bytes,
        "loaded": image.loaded,
        "at": iso(image.at),
    }


def _stored(one: StoredImage) -> dict[str, object]:
    return {**_described(one.image), "used_at": iso(one.used_at), "pods": one.pods}
