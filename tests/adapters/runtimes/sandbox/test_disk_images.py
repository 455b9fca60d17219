"""Images of file systems from one run of mkfs for each size."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.runtimes.sandbox import disk_images
from danube_pkg.adapters.runtimes.sandbox.disk_commands import DiskRefused, run_command
from danube_pkg.adapters.runtimes.sandbox.disk_images import MAX_TEMPLATES, DiskImages, ImageSize

MEGABYTE = 1 << 20
SMALL = ImageSize(24 * MEGABYTE, 4096)


@pytest.fixture(autouse=True)
def full_disk_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk on which the server would be short of space does not fail these tests."""
    monkeypatch.setattr(disk_images, "LOW_DISK_BYTES", 0)
    monkeypatch.setattr(disk_images, "LOW_DISK_SHARE", 0)


@pytest.fixture
def formatted(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that were run."""
    commands: list[Sequence[str]] = []

    async def counted(*words: str) -> None:
        commands.append(words)
        await run_command(*words)

    monkeypatch.setattr(disk_images, "run_command", counted)
    return commands


def check(image: Path) -> str:
    """What e2fsck finds wrong with an image."""
    words = ["/usr/sbin/e2fsck", "-f", "-n", str(image)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("size", [SMALL, ImageSize(700 * MEGABYTE, 180_000)], ids=["small", "several groups"])
async def test_each_image_is_whole_and_has_its_blocks(
    tmp_path: Path, size: ImageSize, formatted: list[Sequence[str]]
) -> None:
    images = DiskImages(tmp_path)
    made = [tmp_path / f"{number}.ext4" for number in range(3)]
    await asyncio.gather(*(images.make(image, size) for image in made))
    for image in made:
        assert image.stat().st_size == size.size_bytes
        assert image.stat().st_blocks * 512 >= size.size_bytes
        assert check(image) == ""
    assert len(formatted) == 1
    assert sorted(tmp_path.iterdir()) == made


async def test_sizes_do_not_share_a_template(tmp_path: Path, formatted: list[Sequence[str]]) -> None:
    images = DiskImages(tmp_path)
    for number, inodes in enumerate((4096, 1024, 4096)):
        await images.make(tmp_path / f"{number}.ext4", ImageSize(SMALL.size_bytes, inodes))
    assert len(formatted) == 2
    assert [check(tmp_path / f"{number}.ext4") for number in range(3)] == ["", "", ""]


async def test_the_number_of_templates_is_bounded(tmp_path: Path, formatted: list[Sequence[str]]) -> None:
    """The one that was not used for the longest time is made again."""
    images = DiskImages(tmp_path)
    for inodes in (1024, *range(1040, 1040 + 16 * (MAX_TEMPLATES - 1), 16), 1024, 2048, 1024, 1040):
        await images.make(tmp_path / "image.ext4", ImageSize(4 * MEGABYTE, inodes))
        (tmp_path / "image.ext4").unlink()
    assert [words[words.index("-N") + 1] for words in formatted[-2:]] == ["2048", "1040"]
    assert len(formatted) == MAX_TEMPLATES + 2


async def test_a_failed_format_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = DiskImages(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(disk_images, "_MKFS", ("false",))
        with pytest.raises(DiskRefused, match="false failed"):
            await images.make(tmp_path / "image.ext4", SMALL)
        assert list(tmp_path.iterdir()) == []
    await images.make(tmp_path / "image.ext4", SMALL)
    assert check(tmp_path / "image.ext4") == ""
