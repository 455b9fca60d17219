"""The files of an image before they are written: a tree in memory whose entries name files of this machine."""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from danube_pkg.kit.records import Record


class ImageEntry(Record):
    """A file, directory or symbolic link of an image. path: without a leading slash.

    source: the file of this machine whose bytes it has; None for `content`. link: the target of a symbolic link.
    """

    path: str
    mode: int
    source: Path | None = None
    content: bytes = b""
    link: str = ""
    directory: bool = False
    owner: int = 0


class ImageTree:
    """Entries by path, each with its parent directories. Links that lead to directories are followed in paths."""

    def __init__(self, links: Mapping[str, str] = MappingProxyType({})) -> None:
        """links: symbolic links at the root of the image, such as `bin` to `usr/bin`."""
        self._links = links
        self._entries: dict[str, ImageEntry] = {}
        for path, target in links.items():
            self._put(ImageEntry(path, 0o777, link=target))

    def add_file(self, path: str, source: Path, *, executable: bool = False) -> None:
        """A file of this machine. The first one with a path stays."""
        self._put(ImageEntry(self._real(path), 0o755 if executable else 0o644, source=source))

    def add_content(self, path: str, content: bytes, *, executable: bool = False) -> None:
        """A file that no machine has."""
        self._put(ImageEntry(self._real(path), 0o755 if executable else 0o644, content=content))

    def add_link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._put(ImageEntry(self._real(path), 0o777, link=target))

    def add_directory(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A directory, which may be empty."""
        self._put(ImageEntry(self._real(path), mode, directory=True, owner=owner))

    def __contains__(self, path: str) -> bool:
        return self._real(path) in self._entries

    def __iter__(self) -> Iterator[ImageEntry]:
        """In the order of paths, so that a directory comes before what is in it."""
        return iter(sorted(self._entries.values(), key=lambda one: one.path.split("/")))

    def _real(self, path: str) -> str:
        path = posixpath.normpath(path).lstrip("/")
        for link, target in self._links.items():
            if path.startswith(f"{link}/"):
                joined = posixpath.join(posixpath.dirname(link), target, path[len(link) + 1 :])
                return self._real(joined)
        return path

    def _put(self, entry: ImageEntry) -> None:
        self._entries.setdefault(entry.path, entry)
        parent = posixpath.dirname(entry.path)
        while parent and parent not in self._entries:
            self._entries[parent] = ImageEntry(parent, 0o755, directory=True)
            parent = posixpath.dirname(parent)
