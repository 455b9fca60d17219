"""`danube migrate-from FILE`: a danubefile from a workflow of GitHub Actions, GitLab CI or Woodpecker, with a list of
what it could not carry over."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from danube_pkg.cli.migration.github import from_github
from danube_pkg.cli.migration.model import Migration, danubefile_text
from danube_pkg.cli.migration.scripts import from_gitlab, from_woodpecker
from danube_pkg.cli.output import one_line, say
from danube_pkg.core.errors import Conflict, Invalid, Permanent

MAX_FILE_BYTES = 1024**2

SYSTEMS: Mapping[str, Callable[[Mapping[str, Any]], Migration]] = {
    "github": from_github,
    "gitlab": from_gitlab,
    "woodpecker": from_woodpecker,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a file of .github/workflows, .gitlab-ci.yml, or a file of Woodpecker"
    )
    parser.add_argument("--system", choices=tuple(SYSTEMS), help="whose file it is (found by its content)")
    parser.add_argument(
        "--output",
        metavar="FILE",
        default="danubefile.py",
        help="where to write it (danubefile.py); - for standard output",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def main(options: argparse.Namespace) -> int:
    document = _document(options.file)
    system = options.system or _system(document)
    found = SYSTEMS[system](document)
    text = danubefile_text(found, Path(options.file).name)
    if options.output == "-":
        say(text, end="")
    else:
        _write(Path(options.output), text, force=options.force)
        say(f"wrote {options.output}: {system}, {_counted(len(found.jobs), 'job')}", file=sys.stderr)
    if found.lost:
        say(f"not carried over, {_counted(len(found.lost), 'thing')}:", file=sys.stderr)
        for sentence in found.lost:
            say(f"  {one_line(sentence)}", file=sys.stderr)
    say("next: danube validate danubefile.py, danube run", file=sys.stderr)
    return 0


def _document(name: str) -> Mapping[str, Any]:
    """The file with every scalar as a text. Raises Invalid."""
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
        found = yaml.load(data, yaml.BaseLoader)
    except OSError as error:
        hint = "name a workflow: danube migrate-from .github/workflows/ci.yml"
        raise Invalid("workflow-unreadable", f"{name} cannot be read", cause=error.strerror or "", hint=hint) from error
    except (yaml.YAMLError, RecursionError) as error:
        hint = "the system that it is made for does not read it either"
        raise Invalid("workflow-invalid", f"{name} is not valid YAML", cause=one_line(str(error)), hint=hint) from error
    if not isinstance(found, dict):
        raise Invalid("workflow-invalid", f"{name} is not a workflow", hint="its content must be a mapping")
    return found


def _system(document: Mapping[str, Any]) -> str:
    if "jobs" in document:
        return "github"
    return "woodpecker" if {"steps", "pipeline"} & document.keys() else "gitlab"


def _write(path: Path, text: str, *, force: bool) -> None:
    if path.exists() and not force:
        raise Conflict("file-exists", f"{path} already exists", hint="--force replaces it; --output names another file")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = f"check who may write there: ls -ld {path.parent}"
        raise Permanent(
            "file-unwritable", f"{path} cannot be written", cause=error.strerror or "", hint=hint
        ) from error


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
