"""`danube init`: write a danubefile and a pipeline for this repository, or a starter configuration repository."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.cli import starters
from danube_pkg.cli.output import say
from danube_pkg.core.errors import Conflict, Permanent
from danube_pkg.core.repositories.urls import without_login

MAX_READ_BYTES = 256 * 1024
PIPELINE_FILE = "danube-pipeline.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where to write (this directory)")
    parser.add_argument("--config", action="store_true", help="write a starter configuration repository instead")
    parser.add_argument("--repository", metavar="URL", help="the application's repository (the remote origin)")
    parser.add_argument("--force", action="store_true", help="replace existing files")


def main(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    if options.config:
        files = starters.configuration(options.repository or "")
        _write(directory, files, force=options.force)
        say("\nnext: commit it, and write danube.toml with")
        say(
            f'  [config_repo]\n  url = "{directory.absolute()}"   # or its URL\nthen: danube serve --config danube.toml'
        )
        return 0
    found = starters.toolchains(_read_files(directory))
    name = starters.pipeline_name(str(directory.absolute()))
    repository = options.repository or _origin(directory) or str(directory.absolute())
    _write(
        directory,
        {
            "danubefile.py": starters.danubefile(name, found),
            PIPELINE_FILE: starters.pipeline_yaml(name, repository, found),
        },
        force=options.force,
    )
    say(f"found: {', '.join(one.name for one in found) or 'no known toolchain'}")
    say(f"\nnext: danube run, then move {PIPELINE_FILE} to pipelines/{name}.yaml of the configuration repository")
    return 0


def _read_files(directory: Path) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name in starters.READ_NAMES:
        path = directory / name
        if path.is_file():
            with path.open("rb") as file:
                found[name] = file.read(MAX_READ_BYTES).decode("utf-8", "replace")
        elif path.is_dir():
            found[name] = ""
    return found


def _origin(directory: Path) -> str:
    # dulwich takes longer to import than the rest of the command, and `danube init --config` does not need it.
    from danube_pkg.adapters.git.working_tree import origin_url

    return without_login(origin_url(directory)) if directory.is_dir() else ""


def _write(directory: Path, files: Mapping[str, str], *, force: bool) -> None:
    existing = [name for name in files if (directory / name).exists()]
    if existing and not force:
        raise Conflict(
            "file-exists", f"{directory / existing[0]} already exists", hint="danube init --force replaces it"
        )
    try:
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            say(f"wrote {path}")
    except OSError as error:
        raise Permanent(
            "directory-unusable",
            f"{directory} cannot be written",
            cause=error.strerror or "",
            hint=f"check who may write there: ls -ld {directory}",
        ) from error
