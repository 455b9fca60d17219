"""Single values of danube.toml, read without the server's modules: which file, and where the server's data is.

`danube serve` reads the whole file and reports its mistakes; here a file with mistakes says nothing.
"""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path

LOCAL_FILE = Path("danube.toml")
SYSTEM_FILE = Path("/etc/danube/danube.toml")
SYSTEM_DATA = Path("/var/lib/danube")


def settings_files(named: str | None) -> Sequence[Path]:
    """The files in which to look, the first that exists counts. named: by an option; else DANUBE_CONFIG."""
    chosen = named or os.environ.get("DANUBE_CONFIG")
    return [Path(chosen)] if chosen else [LOCAL_FILE, SYSTEM_FILE]


def written_setting(files: Sequence[Path], table: str, key: str) -> str:
    """A text of the first file that exists; "" where it is not written, and for a file that `danube serve` refuses."""
    try:
        path = next(path for path in files if path.is_file())
        found = tomllib.loads(path.read_text("utf-8-sig"))[table][key]
    except (StopIteration, OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def local_data_directory() -> Path | None:
    """`server.data_dir` of DANUBE_CONFIG, else of ./danube.toml; None where it is not written."""
    return _data_directory(settings_files(None)[:1])


def system_data_directory() -> Path:
    """That of the server which this machine runs as a service."""
    return _data_directory([SYSTEM_FILE]) or SYSTEM_DATA


def _data_directory(files: Sequence[Path]) -> Path | None:
    text = written_setting(files, "server", "data_dir")
    if not text:
        return None
    directory = next(path for path in files if path.is_file()).absolute().parent
    try:
        return directory / Path(text).expanduser()
    except RuntimeError:
        return directory / text
