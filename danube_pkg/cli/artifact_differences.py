"""Which files of two archives differ. Nothing is unpacked."""

import hashlib
import tarfile
from pathlib import Path

_PART_BYTES = 1024**2
MAX_SHOWN = 200
"""Files in the list; a rebuild that differs in more has one cause for most of them."""


def differences(one: Path, other: Path) -> list[tuple[str, str]]:
    """(what is different, file name) for each member of two tar archives; empty for files that are no archives."""
    try:
        before, after = _members(one), _members(other)
    except (tarfile.TarError, OSError, EOFError):
        return []
    rows = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            rows.append(("missing", name))
        elif name not in before:
            rows.append(("added", name))
        elif before[name] != after[name]:
            rows.append((_kind(before[name], after[name]), name))
    if len(rows) > MAX_SHOWN:
        return [*rows[:MAX_SHOWN], ("…", f"and {len(rows) - MAX_SHOWN} more")]
    return rows or [("order or compression", "of the archive itself")]


def _members(path: Path) -> dict[str, tuple[str, ...]]:
    """Content, mode and time of each member, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            hash_ = hashlib.sha256(member.linkname.encode())
            if (file := archive.extractfile(member) if member.isreg() else None) is not None:
                while part := file.read(_PART_BYTES):
                    hash_.update(part)
            found[member.name] = (hash_.hexdigest(), f"{member.mode:o}", str(member.mtime))
    return found


def _kind(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    kinds = ("content", "mode", "time")
    return ", ".join(kind for kind, one, other in zip(kinds, before, after, strict=True) if one != other)
