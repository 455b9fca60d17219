"""The journal of an installation or an upgrade: which steps were begun, in their order, and what was before each.

It is one JSON file, replaced at once and durably before a step is begun and after it holds. Copies of replaced files
lie beside it. An entry stays until its step was undone, so whatever interrupts the process, `undo` finds all that was
done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from danube_pkg.core.errors import Permanent
from danube_pkg.install.ports import MachineFiles
from danube_pkg.install.steps import (
    AwaitServer,
    Before,
    CopyProgram,
    CreateUser,
    MakeDirectory,
    RunUnits,
    WriteFile,
)
from danube_pkg.install.upgrade_steps import HoldServer, MigrateDatabase, SaveDatabase, StartServer, TryStart
from danube_pkg.kit.records import Record, decode_json, encode_json, field, replace

STATE_DIRECTORY = "/var/lib/danube-installation"
"""Outside of the data directory, which may be kept when Danube is uninstalled, or be on a disk that is not mounted."""

_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700

Step = (
    MakeDirectory
    | WriteFile
    | CopyProgram
    | CreateUser
    | RunUnits
    | AwaitServer
    | HoldServer
    | SaveDatabase
    | MigrateDatabase
    | TryStart
    | StartServer
)


class InstallOptions(Record):
    """What the administrator chose. config_repo: "" for a starter configuration in /etc/danube/config."""

    data: str = "/var/lib/danube"
    user: str = "root"
    listen: str = "127.0.0.1:8080"
    host_images: bool = False
    config_repo: str = ""


class JournalEntry(Record):
    """A step that was begun. held: whether it was seen to hold."""

    step: Step
    before: Before
    held: bool = False


class JournalContent(Record):
    """complete: every step held. removing: it is being taken back, and can only be taken back further."""

    version: str
    options: InstallOptions = field(default_factory=InstallOptions)
    entries: tuple[JournalEntry, ...] = ()
    complete: bool = False
    removing: bool = False


class Journal:
    """A journal on disk. name: `installation` or `upgrade`."""

    def __init__(self, files: MachineFiles, name: str = "installation") -> None:
        self._files = files
        self.directory = STATE_DIRECTORY if name == "installation" else f"{STATE_DIRECTORY}/{name}"
        self._path = f"{self.directory}/journal.json"
        self._content = self._read()

    def _read(self) -> JournalContent | None:
        if self._files.state(self._path) is None:
            return None
        try:
            return decode_json(self._files.read(self._path), JournalContent)
        except ValueError as error:
            raise Permanent(
                "journal-unreadable",
                f"{self._path} cannot be read",
                cause=str(error),
                hint="use the Danube that wrote it, which may be newer: danube version",
            ) from error

    @property
    def content(self) -> JournalContent | None:
        """None where nothing was begun."""
        return self._content

    @property
    def entries(self) -> tuple[JournalEntry, ...]:
        return self._content.entries if self._content is not None else ()

    def begin(self, version: str, options: InstallOptions) -> None:
        """Write the first content, or note that an existing one is continued."""
        with _translated(self.directory):
            if self._files.state(self.directory) is None:
                self._files.make_directory(self.directory, _DIRECTORY_MODE)
        if self._content is None:
            self._write(JournalContent(version, options))

    def entry_of(self, step: Step) -> JournalEntry | None:
        """The entry of the same thing: another version of Danube may describe it otherwise."""
        return next((one for one in self.entries if _subject(one.step) == _subject(step)), None)

    def saved_name(self) -> str:
        """A path for a copy of a file that a next entry replaces."""
        return f"{self.directory}/before-{len(self.entries)}"

    def add(self, entry: JournalEntry) -> None:
        self._change(entries=(*self.entries, entry))

    def change(self, old: JournalEntry, new: JournalEntry) -> None:
        if old != new:
            self._change(entries=tuple(new if one is old else one for one in self.entries))

    def drop_last(self) -> None:
        """Forget the last entry, whose step was undone."""
        self._change(entries=self.entries[:-1])

    def complete(self) -> None:
        if self._content is not None and not self._content.complete:
            self._change(complete=True)

    def remove_from_now_on(self) -> None:
        if self._content is not None and not self._content.removing:
            self._change(removing=True, complete=False)

    def end(self) -> None:
        """Remove the journal and all copies."""
        with _translated(self.directory):
            if self._files.state(self.directory) is not None:
                self._files.remove(self._path)  # first: a rest of the directory must not be taken for an installation
                self._files.remove_tree(self.directory)
        self._content = None

    def _change(self, **changes: Any) -> None:
        if self._content is None:
            raise Permanent("journal-missing", f"there is no {self._path}", hint="start again: danube install")
        self._write(replace(self._content, **changes))

    def _write(self, content: JournalContent) -> None:
        with _translated(self._path):
            self._files.write(self._path, encode_json(content), _FILE_MODE)
        self._content = content


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Permanent(
            "journal-not-written",
            f"{path} cannot be changed",
            cause=str(error),
            hint="fix that and run the command again: it continues where this one ended",
        ) from error


def _subject(step: Step) -> tuple[str, str]:
    """What a step is about: its kind, and the path or name."""
    for name in ("path", "target", "name", "data"):
        if (found := getattr(step, name, None)) is not None:
            return type(step).__name__, str(found)
    return type(step).__name__, ""
