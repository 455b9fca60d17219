"""`ports.MachineUsers` by the programs of the machine (Debian, Red Hat and SUSE have them in common)."""

import pwd

from danube_pkg.install.commands import require_success
from danube_pkg.install.ports import MachineFiles

SUBORDINATE_IDS = 65536
"""The ids of a whole image. An ordinary user's pods share them."""

_FIRST_SUBORDINATE_ID = 524288
"""Above the ranges that useradd gives to the first hundred users of a machine."""


_FILES = (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids"))


class LocalUsers:
    """Users of this machine."""

    def __init__(self, files: MachineFiles) -> None:
        self._files = files

    def ids(self, name: str) -> tuple[int, int] | None:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        return found.pw_uid, found.pw_gid

    def has_subordinate_ids(self, name: str) -> bool:
        return all(_has_range(self._text(path), name) for path, _ in _FILES)

    def create(self, name: str, home: str) -> None:
        if self.ids(name) is None:
            require_success("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home,
                            "--shell", "/usr/sbin/nologin", "--", name)  # fmt: skip
        for path, option in _FILES:
            if not _has_range(text := self._text(path), name):
                first = free_range(text)
                require_success("usermod", option, f"{first}-{first + SUBORDINATE_IDS - 1}", "--", name)

    def remove(self, name: str) -> None:
        require_success("userdel", "--", name)  # with its group and its subordinate ids

    def _text(self, path: str) -> str:
        return self._files.read(path).decode() if self._files.state(path) is not None else ""


def free_range(text: str) -> int:
    """The first id of a range that no line of /etc/subuid touches. text: its content, `name:first:count` a line."""
    taken = []
    for line in text.splitlines():
        words = line.split(":")
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            taken.append((int(words[1]), int(words[1]) + int(words[2])))
    first = _FIRST_SUBORDINATE_ID
    for begin, end in sorted(taken):
        if begin < first + SUBORDINATE_IDS and end > first:
            first = end
    return first


def _has_range(text: str, name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in text.splitlines())
