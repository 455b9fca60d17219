"""`danube validate`: a configuration directory, a repository with a danubefile, or one file, checked without a
server."""

import os
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.adapters.configuration import configuration_files, is_configuration, read_directory
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.state import State
from danube_pkg.core.danubefile import MAX_BYTES, Outline, read_danubefile
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.core.repositories.urls import is_remote
from danube_pkg.kit.records import Record

DANUBEFILE = "danubefile.py"


class Validation(Record):
    """findings: everything that is wrong. state: what the configuration means, where there is a right one; outlines:
    of the danubefiles that were read, by their paths."""

    findings: tuple[Invalid, ...]
    state: State | None
    outlines: Mapping[str, Outline]


def validate(path: Path) -> Validation:
    """Check what is at that path. Raises Permanent for a configuration that cannot be read at all."""
    findings, outlines = Findings(), dict[str, Outline]()
    state: State | None = None
    if path.is_file():
        _read_danubefile(path, str(path), findings, outlines)
    elif not path.is_dir():
        findings.add(SourceLocation(str(path)), "there is nothing here", hint="name a directory, or a danubefile")
    else:
        known = False
        if is_configuration(path):
            known = True
            state, found = read_configuration(read_directory(path))
            findings.extend(found)
            for file, shown in _scripts(state, path).items():
                _read_danubefile(file, shown, findings, outlines)
        if (path / DANUBEFILE).is_file():
            known = True
            _read_danubefile(path / DANUBEFILE, DANUBEFILE, findings, outlines)
        if not known:
            findings.add(
                SourceLocation(str(path)),
                "there is no configuration and no danubefile here",
                hint="danube init makes a danubefile, danube init --config a configuration",
            )
    return Validation(findings.sorted(), state, outlines)


def planned_files(path: Path) -> dict[str, str]:
    """The configuration's files as a server is asked about them."""
    return {name: data.decode("utf-8", "replace") for name, data in configuration_files(path).items()}


def _scripts(state: State | None, base: Path) -> dict[Path, str]:
    """The danubefiles of pipelines whose repository is a directory of this machine, by how they are shown.

    A missing one is not an error: the server may be another machine.
    """
    found: dict[Path, str] = {}
    for pipeline in state.pipelines.values() if state is not None else ():
        directory = Path(pipeline.spec.repository)
        if (
            is_remote(pipeline.spec.repository)
            or not directory.is_dir()
            or not (directory / pipeline.spec.script).is_file()
        ):
            continue
        file = directory / pipeline.spec.script
        found[file] = os.path.relpath(file, base.absolute())
    return found


def _read_danubefile(path: Path, shown: str, findings: Findings, outlines: dict[str, Outline]) -> None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        findings.add(SourceLocation(shown), f"the file cannot be read: {error.strerror}", hint="check its mode")
        return
    outline = read_danubefile(data, shown, findings)
    if outline is not None:
        outlines[shown] = outline
