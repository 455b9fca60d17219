"""`ports.MachineFiles` on this machine's files."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from danube_pkg.install.ports import FileState
from danube_pkg.kit.digests import digest_of_file
from danube_pkg.kit.files import sync_directory, write_atomically
from danube_pkg.kit.trees import remove_tree


class LocalFiles:
    """Files below a root, which is `/` but in tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def state(self, path: str) -> FileState | None:
        """The state of what the path leads to; None for a link to nowhere, too."""
        try:
            found = self._at(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = found.st_mode
        return FileState(
            stat.S_ISDIR(kind), stat.S_ISREG(kind), stat.S_IMODE(kind), user=found.st_uid, group=found.st_gid
        )

    def read(self, path: str) -> bytes:
        return self._at(path).read_bytes()

    def digest(self, path: str) -> str:
        return digest_of_file(self._at(path)).sha256

    def write(self, path: str, data: bytes, mode: int) -> None:
        write_atomically(self._at(path), data, mode=mode)

    def copy(self, source: str, target: str, mode: int) -> None:
        """source may be the program that runs, which a rename does not disturb."""
        place = self._at(target)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file, self._at(source).open("rb") as original:
                shutil.copyfileobj(original, file, 1 << 20)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_directory(place.parent)

    def make_directory(self, path: str, mode: int) -> None:
        self._at(path).mkdir()
        self._at(path).chmod(mode)  # whatever the umask

    def set_owner(self, path: str, user: int, group: int) -> None:
        os.chown(self._at(path), user, group)

    def set_mode(self, path: str, mode: int) -> None:
        self._at(path).chmod(mode)

    def remove(self, path: str) -> None:
        self._at(path).unlink(missing_ok=True)

    def remove_empty(self, path: str) -> bool:
        try:
            self._at(path).rmdir()
        except OSError:
            return not self._at(path).exists()
        return True

    def remove_tree(self, path: str) -> None:
        remove_tree(self._at(path))
