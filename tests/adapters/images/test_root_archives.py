"""An image of a plain root file system, for machines without Docker."""

import gzip
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from danube_pkg.adapters.images.archives import open_archive
from danube_pkg.adapters.images.root_archives import write_root_image
from danube_pkg.core.errors import Invalid
from danube_pkg.core.images.manifests import Platform
from danube_pkg.core.images.reference import ImageUnavailable

LINUX = Platform("linux", "amd64")


def a_tar(*names: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return made.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_a_root_is_an_image_of_one_layer(tmp_path: Path, packed: bool) -> None:
    root, image = tmp_path / "root.tar", tmp_path / "image.tar"
    plain = a_tar("./etc/os-release", "./bin/sh")
    root.write_bytes(gzip.compress(plain) if packed else plain)
    with image.open("w+b") as file:
        write_root_image(root, file, "deb:1", LINUX)
    with open_archive(image, tmp_path) as archive:
        (found,) = archive.images(LINUX)
        assert found.names == ("deb:1",)
        (layer,) = found.layers
        assert layer.diff_id == f"sha256:{sha256(plain).hexdigest()}"
        assert image.read_bytes()[layer.offset : layer.offset + layer.size] == plain
    with tarfile.open(image) as opened:
        config = opened.extractfile("config.json")
        assert config is not None
        assert "/usr/bin" in json.load(config)["config"]["Env"][0]


@pytest.mark.parametrize(
    ("content", "error", "hint"),
    [
        (a_tar("manifest.json"), Invalid, "danube image load"),
        (a_tar("project/README"), Invalid, "tar -c -C ROOT"),
        (b"no archive", ImageUnavailable, "tar -c -C ROOT"),
    ],
)
def test_another_archive_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, error: type[Exception], hint: str
) -> None:
    (tmp_path / "root.tar").write_bytes(content)
    with pytest.raises(error) as refusal, (tmp_path / "image.tar").open("w+b") as file:
        write_root_image(tmp_path / "root.tar", file, "deb", LINUX)
    assert hint in str(getattr(refusal.value, "hint", ""))


def test_load_leads_to_import_for_a_root(tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(a_tar("bin/sh"))
    with open_archive(tmp_path / "root.tar", tmp_path) as archive, pytest.raises(ImageUnavailable) as refusal:
        archive.images(LINUX)
    assert "danube image import" in refusal.value.hint
