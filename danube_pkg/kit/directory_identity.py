"""The identity of a directory: a random id, kept in it, with what a copy does not have: machine, device and inode.

Where these differ, the directory is a copy or was moved to another file system, and gets another id. So two directories
never have the same one, also where one is a snapshot or a restored backup of the other.
"""

import json
import secrets
from pathlib import Path

from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import Record, replace, to_builtins

FILE = "identity.json"

ID_BYTES = 8
"""Two of a billion directories have the same id with a chance of 3 %; those of one machine are a few."""

_MACHINE_ID = Path("/etc/machine-id")


class DirectoryIdentity(Record):
    """id: lower-case hexadecimal. machine: by machine-id(5), "" where there is none. device, inode: as in stat(2)."""

    id: str
    machine: str
    device: int
    inode: int


def read_identity(directory: Path) -> DirectoryIdentity | None:
    """What was recorded last, also by the directory that this one is a copy of; None where nothing was."""
    try:
        data = json.loads((directory / FILE).read_bytes())
        return DirectoryIdentity(str(data["id"]), str(data["machine"]), int(data["device"]), int(data["inode"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def identify(directory: Path) -> DirectoryIdentity:
    """The directory's identity, recorded if it was not, or if this is a copy. Raises OSError."""
    place = directory.stat()
    machine = _MACHINE_ID.read_text().strip() if _MACHINE_ID.is_file() else ""
    recorded = read_identity(directory)
    if recorded is not None and recorded == replace(recorded, machine=machine, device=place.st_dev, inode=place.st_ino):
        return recorded
    made = DirectoryIdentity(secrets.token_hex(ID_BYTES), machine, place.st_dev, place.st_ino)
    write_atomically(directory / FILE, json.dumps(to_builtins(made)).encode())
    return made
