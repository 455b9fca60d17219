"""Runs a danubefile: imports it, calls its one pipeline function, and describes in one sentence how that ended."""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from danube._caches import save_unsaved
from danube._errors import DanubeError
from danube._kept_on_failure import registered
from danube._open_steps import failed, steps_without_end
from danube._pipeline import ENVIRONMENT, MARK, REFUSED, SHELL, check_function, check_result, marked
from danube._results import StepFailed
from danube._uploads import keep_of

from danube import _process, _session
from danube_pkg.kit.python_text import NOT_PYTHON, what_is_wrong
from danube_pkg.pod.own_process import leave_as_child, say

PASSED_ON = (REFUSED, "infrastructure-lost")
"""References of errors that are the reason of the job which they end: the cause is not an error of the danubefile."""


TESTS_FAILED = "tests-failed"
"""The reference of the error of `reports.junit(fail=True)`: the tests are at fault, not the danubefile."""

JOB_ENDING = "job-ending"
"""The reference of a call that comes after the job was cancelled or had reached its deadline: no fault of the
danubefile."""

NO_PACKAGES = "a danubefile has the standard library and the modules beside it; use other packages in a step"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a danubefile ended. reason: "" for success, else one of the server's. step: the sequence of a failed step."""

    reason: str = ""
    message: str = ""
    step: int = 0


def run_script(workspace: Path, script: str) -> Outcome:
    """Import the danubefile and call its pipeline function; every exception becomes an Outcome."""
    path = workspace / script
    if not path.is_file():
        return Outcome("script-missing", f"the repository has no file {script}")
    os.chdir(workspace)
    sys.path.insert(0, str(path.parent))
    program = path.read_bytes()
    try:
        code = compile(program, str(path), "exec")
    except NOT_PYTHON as error:
        traceback.print_exception(type(error), error, None)
        line, what = what_is_wrong(program, error)
        return Outcome("script-invalid", f"{script}:{line}: {what}" if line else f"{script}: {what}")
    module = ModuleType("danubefile")
    module.__file__ = str(path)
    sys.modules["danubefile"] = module
    outcome = _guarded(lambda: _import_and_call(code, module, script), workspace)
    if outcome.reason or failed:
        _keep_for_failure()
    return outcome


def _keep_for_failure() -> None:
    """What `artifacts.on_failure` was called for. A refusal must not hide the failure itself."""
    for one in registered:
        try:
            keep_of(one.workspace, one.path, one.name)
        except DanubeError as error:
            say(f"artifact {one.name} of artifacts.on_failure was not kept: {error.what}")


def _import_and_call(code: Any, module: ModuleType, script: str) -> Outcome:
    exec(code, module.__dict__)
    found = _pipelines(module)
    if len(found) != 1:
        names = ", ".join(one.__name__ for one in found) or "none"
        return Outcome("pipeline-missing", f"{script} must mark exactly one function with @pipeline; found: {names}")
    check_function(found[0])
    _session.use_shell(getattr(found[0], SHELL))
    _session.use_environment(getattr(found[0], ENVIRONMENT))
    check_result(found[0], found[0]())
    for sequence, name in steps_without_end():
        message = f"step {sequence} {name!r} was still open when the pipeline function returned"
        return Outcome("step-open", message, sequence)
    save_unsaved()
    return Outcome()


def _pipelines(module: ModuleType) -> list[Callable[..., Any]]:
    """The marked functions among the module's names, or all that it marked where one has hidden another."""
    named = {id(one): one for one in vars(module).values() if callable(one) and hasattr(one, MARK)}
    own = [one for one in marked if one.__globals__ is module.__dict__ and one.__name__ == one.__qualname__]
    return own if len(named) == 1 < len(own) else list(named.values())


def _guarded(call: Callable[[], Outcome], workspace: Path) -> Outcome:
    """The outcome of the danubefile's own process; a child that it forked and that comes back here ends here."""
    try:
        outcome = call()
    except BaseException as error:  # noqa: BLE001 - any exception ends the job with its traceback
        if _process.is_child():
            leave_as_child(error)
        return _failure(error, workspace)
    if _process.is_child():
        leave_as_child(None)
    return outcome


def _failure(error: BaseException, workspace: Path) -> Outcome:
    """What the danubefile raised, also printed to the job's log."""
    if isinstance(error, StepFailed):
        say(error.what)
        return Outcome("step-failed", error.what, error.result.sequence)
    if isinstance(error, DanubeError) and error.reference == TESTS_FAILED:
        say(error.what)
        return Outcome(TESTS_FAILED, error.what)
    if isinstance(error, DanubeError) and error.reference == JOB_ENDING:
        say(f"{error.what}: {error.cause}" if error.cause else error.what)
        return Outcome("script-error", error.what)
    where = _where(error.__traceback__, workspace)
    if isinstance(error, SystemExit):
        return Outcome("script-exited", f"the danubefile called sys.exit({error.code!r}){where}")
    _print_traceback(error, workspace)
    if isinstance(error, DanubeError):
        hint = f"; {error.hint}" if error.hint else ""
        reason = error.reference if error.reference in PASSED_ON else "script-error"
        return Outcome(reason, f"{error.what}{where}{hint}")
    text = traceback.format_exception_only(type(error), error)[-1].strip()
    hint = f"; {NO_PACKAGES}" if isinstance(error, ModuleNotFoundError) else ""
    return Outcome("script-error", f"{text}{where}{hint}")


def _author_frames(trace: TracebackType | None, workspace: Path) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).is_relative_to(workspace)]


def _where(trace: TracebackType | None, workspace: Path) -> str:
    frames = _author_frames(trace, workspace)
    if not frames:
        return ""
    return f" ({Path(frames[-1].filename).relative_to(workspace)}:{frames[-1].lineno})"


def _print_traceback(error: BaseException, workspace: Path) -> None:
    """To standard error: the frames of the repository's files only, with paths relative to it."""
    lines = ["Traceback (most recent call last):"]
    for frame in _author_frames(error.__traceback__, workspace):
        name = Path(frame.filename).relative_to(workspace)
        lines.append(f'  File "{name}", line {frame.lineno}, in {frame.name}\n    {frame.line}')
    lines.append("".join(traceback.format_exception_only(type(error), error)).rstrip("\n"))
    say("\n".join(lines))
