"""`danube init`: write a danubefile and a pipeline for this repository, or a starter configuration repository."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import bcrypt

from danube_pkg.cli import starters
from danube_pkg.cli.commands.secrets import value_from_input
from danube_pkg.cli.found_toolchains import find_toolchains
from danube_pkg.cli.output import say
from danube_pkg.core.errors import Conflict, Invalid, Permanent
from danube_pkg.core.repositories.urls import without_login

PIPELINE_FILE = "danube-pipeline.yaml"
MAX_PASSWORD_BYTES = 72
"""More are ignored by bcrypt."""

PASSWORD_ROUNDS = 12
"""The cost factor of bcrypt: a quarter of a second for each check."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where to write (this directory)")
    parser.add_argument("--config", action="store_true", help="write a starter configuration repository instead")
    parser.add_argument(
        "--user", metavar="EMAIL", help="with --config: a first user, who administers the server; asks for a password"
    )
    parser.add_argument("--repository", metavar="URL", help="the application's repository (the remote origin)")
    parser.add_argument(
        "--pipeline",
        metavar="FILE",
        help=f"where to write the pipeline's YAML ({PIPELINE_FILE}); - for standard output",
    )
    parser.add_argument("--force", action="store_true", help="replace existing files")


def main(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    if options.config:
        starter = starters.configuration(options.repository or "", _first_user(options.user))
        _write({directory / name: text for name, text in starter.items()}, force=options.force)
        say("\nnext: commit it, and write danube.toml with")
        say(
            f'  [config_repo]\n  url = "{directory.absolute()}"   # or its URL\nthen: danube serve --config danube.toml'
        )
        return 0
    found = find_toolchains(directory)
    name = starters.pipeline_name(str(directory.absolute()))
    repository = options.repository or _origin(directory) or str(directory.absolute())
    dockerfile = (directory / "Dockerfile").is_file()
    missing = starters.DOCKERFILE_ALONE if dockerfile else starters.NOTHING_FOUND
    files = {directory / "danubefile.py": starters.danubefile(name, found, missing)}
    text = starters.pipeline_yaml(name, repository, found)
    shown = options.pipeline or str(directory / PIPELINE_FILE)
    if options.pipeline != "-":
        files[Path(shown)] = text
    _write(files, force=options.force, stream=sys.stderr if options.pipeline == "-" else None)
    if options.pipeline == "-":
        say(text, end="")
    names = [f"{one.name} in {one.directory}" if one.directory else one.name for one in found]
    say(
        f"found: {', '.join(names) or 'no known toolchain: the pipeline fails until you have written it'}",
        file=sys.stderr,
    )
    where = f"danube run {'' if options.directory == '.' else options.directory}".rstrip()
    if options.pipeline == "-":
        say(
            f"\nnext: {where}, then commit the pipeline as pipelines/{name}.yaml of the configuration repository",
            file=sys.stderr,
        )
        return 0
    say(f"\nnext: {where}, and as on a server: {where} --pipeline {shown}", file=sys.stderr)
    say(f"then: move that file to pipelines/{name}.yaml of the configuration repository", file=sys.stderr)
    return 0


def _first_user(email: str | None) -> starters.FirstUser | None:
    """Raises Invalid for an empty password and for one that bcrypt would cut."""
    if email is None:
        return None
    password = value_from_input(f"password of {email}")
    if not 0 < len(password) <= MAX_PASSWORD_BYTES:
        raise Invalid(
            "password-invalid",
            f"a password has 1 to {MAX_PASSWORD_BYTES} bytes, and this one {len(password)}",
            hint=f"danube init --config --user {email}, and type it or give it on standard input",
        )
    return starters.FirstUser(email, bcrypt.hashpw(password, bcrypt.gensalt(PASSWORD_ROUNDS)).decode())


def _origin(directory: Path) -> str:
    # dulwich takes longer to import than the rest of the command, and `danube init --config` does not need it.
    from danube_pkg.adapters.git.working_tree import origin_url

    return without_login(origin_url(directory)) if directory.is_dir() else ""


def _write(files: Mapping[Path, str], *, force: bool, stream: TextIO | None = None) -> None:
    existing = [path for path in files if path.exists()]
    if existing and not force:
        raise Conflict("file-exists", f"{existing[0]} already exists", hint="danube init --force replaces it")
    path = Path()
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            say(f"wrote {path}", file=stream)
    except OSError as error:
        raise Permanent(
            "directory-unusable",
            f"{path} cannot be written",
            cause=error.strerror or "",
            hint=f"check who may write there: ls -ld {path.parent}",
        ) from error
