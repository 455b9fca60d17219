"""Checks a configuration directory, a repository with a danubefile, or one danubefile, without a server."""

import os
from collections.abc import Mapping
from pathlib import Path

from danube_pkg.adapters.configuration import configuration_files, is_configuration, read_directory
from danube_pkg.core.configuration.reader import read_configuration
from danube_pkg.core.configuration.state import State
from danube_pkg.core.danubefile import MAX_BYTES, Outline, read_danubefile
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.errors import Invalid, SourceLocation
from danube_pkg.core.repositories.urls import is_remote
from danube_pkg.kit.records import Record

DANUBEFILE = "danubefile.py"


class Validation(Record):
    """What was found."""

    findings: tuple[Invalid, ...]
    """Every mistake."""
    state: State | None
    """The configuration's; None if there is no configuration, or if it has mistakes."""
    outlines: Mapping[str, Outline]
    """Those of the danubefiles, by path."""


def validate(path: Path) -> Validation:
    """Check the file or directory. Raises Permanent for a configuration that cannot be read at all."""
    findings, outlines = Findings(), dict[str, Outline]()
    state: State | None = None
    if path.is_file():
        _read_danubefile(path, str(path), findings, outlines)
    elif not path.is_dir():
        findings.add(SourceLocation(str(path)), "this path does not exist", hint="name a directory, or a danubefile")
    else:
        known = False
        if is_configuration(path):
            known = True
            state, found = read_configuration(read_directory(path))
            findings.extend(found)
            scripts = _scripts(state, path)
            for file, shown in scripts.items():
                _read_danubefile(file, shown, findings, outlines)
            _check_environments(state, scripts, outlines, findings)
        if (path / DANUBEFILE).is_file():
            known = True
            _read_danubefile(path / DANUBEFILE, DANUBEFILE, findings, outlines)
        if not known:
            findings.add(
                SourceLocation(str(path)),
                "there is no configuration and no danubefile here",
                hint="danube init writes a danubefile, danube init --config a configuration",
            )
    return Validation(findings.sorted(), state, outlines)


def planned_files(path: Path) -> dict[str, str]:
    """The configuration's files, as `POST /api/v1/config/plan` takes them."""
    return {name: data.decode("utf-8", "replace") for name, data in configuration_files(path).items()}


def _scripts(state: State | None, base: Path) -> dict[Path, str]:
    """The danubefiles of pipelines whose repository is a directory of this machine, with the paths to show for them.

    A missing one is not a mistake, since the server may be on another machine.
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


def _check_environments(
    state: State | None, scripts: Mapping[Path, str], outlines: Mapping[str, Outline], findings: Findings
) -> None:
    """A danubefile asks approval only of what a pipeline that has it declares. scripts: files and shown paths."""
    specs = [one.spec for one in state.pipelines.values()] if state is not None else []
    for file, shown in scripts.items():
        declared = {name for one in specs if Path(one.repository) / one.script == file for name in one.environments}
        outline = outlines.get(shown)
        for asked in (outline.environments or ()) if outline is not None else ():
            if asked.name not in declared:
                example = f"in the pipeline's YAML: environments: {{{asked.name}: {{approvers: [TEAM]}}}}"
                hint = nearest(asked.name, sorted(declared)) if declared else example
                what = f"no pipeline of this file has the environment {asked.name!r}"
                findings.add(SourceLocation(shown, asked.line), what, hint=hint)


def _read_danubefile(path: Path, shown: str, findings: Findings, outlines: dict[str, Outline]) -> None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        findings.add(
            SourceLocation(shown),
            f"the file cannot be read: {error.strerror}",
            hint=f"check its permissions: ls -l {path}",
        )
        return
    outline = read_danubefile(data, shown, findings)
    if outline is not None:
        outlines[shown] = outline
        for one in outline.imports:
            if not (path.parent / f"{one.name}.py").is_file() and not (path.parent / one.name).is_dir():
                what = f"there is no module {one.name!r} beside the danubefile"
                hint = "a danubefile has the standard library and the modules beside it; use other packages in a step"
                findings.add(SourceLocation(shown, one.line), what, hint=hint)
