"""The fake of `core.images.ports.Images`: it has no image."""

from collections.abc import Callable
from pathlib import Path

from danube_pkg.core.errors import Defect
from danube_pkg.core.images.ports import ImageRequester
from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.kit.tallies import Tally


class NoImages:
    """Images for runtimes whose pods use the machine's own programs only."""

    def __init__(self) -> None:
        self.pulled = Tally()

    async def ensure(self, name: str, tell: Callable[[str], None], requester: ImageRequester) -> Image:
        raise ImageUnavailable(f"image {name} is not available", hint='use image="host"')

    def hold(self, image: Image, pod: Path) -> Path | None:
        return None

    def read_file(self, image: Image, path: str) -> bytes:
        raise Defect("no-images", "this fake has no images")

    async def clean_up(self, is_enough: Callable[[], bool]) -> int:
        return 0
