"""A matrix: one function for each combination of values, several at once."""

import concurrent.futures
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from danube._errors import DanubeError
from danube._legs import LegCancelled, LegResult, RunningLeg, current_leg, working_for
from danube._results import StepFailed
from danube._session import current
from danube._texts import check_texts, check_whole_numbers
from danube._workspace import is_left_out

MAX_LEGS = 256
"""The most legs of one matrix, as elsewhere; a job has at most 2000 steps."""

MAX_ISOLATED = 64
"""The most isolated legs of a job: each has processes and a copy of the workspace until the job ends."""

MAX_PARALLEL = 64
MAX_NAME_BYTES = 200

UNSUPPORTED = "isolation-unsupported"
"""The reference of the error where the runtime has no workspaces for legs."""


@dataclass(frozen=True)
class Leg(Mapping[str, str]):
    """One combination of a matrix: `leg["python"]` is its value of the axis `python`.

    name: `python=3.12, os=debian`; its steps' names begin with it.
    workspace: the directory of its files as the danubefile sees it; its steps see it as `/workspace`.
    """

    name: str
    values_by_axis: Mapping[str, str]
    workspace: str
    shared_workspace: str

    def __getitem__(self, axis: str) -> str:
        return self.values_by_axis[axis]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_axis)

    def __len__(self) -> int:
        return len(self.values_by_axis)

    def keep(self, path: str, to: str) -> None:
        """Copy a file or directory of an isolated leg into the job's workspace, from which later steps read it.

        path: below the leg's workspace. to: below `/workspace`, where nothing may be yet: give each leg its own.
        """
        check_texts("leg-invalid", {"path": path, "to": to})
        source = _below(self.workspace, path)
        target = _below(self.shared_workspace, to)
        if not os.path.lexists(source):
            if is_left_out(f"{path!r} of leg {self.name}"):
                return
            raise DanubeError(
                "leg-file-missing", f"leg {self.name!r} has no {path!r}", hint="list it in a step: ls -la"
            )
        if os.path.lexists(target):
            hint = f'give each leg a path of its own: leg.keep("{path}", f"{to}-{{leg.name}}")'
            raise DanubeError("leg-file-exists", f"{to!r} is in the workspace already", hint=hint)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.isdir(source) and not os.path.islink(source):
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copy2(source, target, follow_symlinks=False)
        except (OSError, shutil.Error) as error:
            hint = "let the step make it readable: chmod -R a+rX"
            raise DanubeError(
                "leg-file-unreadable", f"{path!r} could not be copied", cause=str(error), hint=hint
            ) from error


def _below(workspace: str, path: str) -> str:
    """The absolute path. Raises DanubeError for one that leads out of the workspace."""
    inside = os.path.realpath(workspace)
    parent = os.path.realpath(os.path.dirname(os.path.join(inside, path.rstrip("/"))))
    if parent != inside and not parent.startswith(f"{inside}/"):
        raise DanubeError("leg-outside", f"{path!r} leads out of the workspace", hint="name a path below /workspace")
    return os.path.join(parent, os.path.basename(path.rstrip("/")))


class MatrixFailed(StepFailed):
    """Legs of a matrix failed. `results` has all of them by name, `result` is the first failed step."""

    def __init__(self, message: str, first: StepFailed, results: Mapping[str, LegResult]) -> None:
        super().__init__(first.result)
        self.what = message
        self.results = results


def matrix(
    body: Callable[[Leg], object],
    *,
    exclude: Sequence[Mapping[str, str]] = (),
    isolated: bool = False,
    fail_fast: bool = False,
    max_parallel: int = 4,
    **axes: Sequence[str],
) -> dict[str, LegResult]:
    """Call a function once for each combination of values, several at once, and return the results by the legs' names.

        def test(leg):
            step.run("pip install -e . && pytest", name="Tests", image=f"python:{leg['python']}")

        step.matrix(test, python=["3.11", "3.12"], database=["sqlite", "postgres"], isolated=True)

    What the function does by `step` and `artifacts` belongs to its leg: a step is called `python=3.11, …: Tests`, and
    is stopped with its leg. Raises MatrixFailed when all legs have ended and one has failed; an exception of the
    function itself is raised as it is.

    body: gets the leg; `leg["python"]` is its value, `leg.name` all of them.
    exclude: combinations that are left out; `{"python": "3.11"}` leaves out each with this value.
    isolated: give each leg containers, a network and a workspace of its own: a copy of `/workspace` when its first step
        starts. Upload what later steps need, or `leg.keep()` it. Without it legs share all of these, and must not
        write to the same files or listen on the same port. Only in the sandbox; at most 64 a job, whose copies count
        for the job's disk until its end.
    fail_fast: end the other legs when one fails.
    max_parallel: how many run at once, 1 to 64. They share the memory of the job.
    axes: the values of each axis, texts; at most 256 combinations.
    """
    combinations = _combinations(axes, exclude)
    check_whole_numbers("matrix-invalid", {"max_parallel": max_parallel})
    if not 1 <= max_parallel <= MAX_PARALLEL:
        hint = "max_parallel=4"
        raise DanubeError("matrix-invalid", f"max_parallel={max_parallel} must be from 1 to {MAX_PARALLEL}", hint=hint)
    running = [RunningLeg(name, *_place(isolated)) for name in combinations]
    matrix_run = _Run(body, combinations, running, fail_fast=fail_fast)
    with concurrent.futures.ThreadPoolExecutor(max_parallel, thread_name_prefix="leg") as pool:
        list(pool.map(matrix_run.work, running))
    results = {leg.name: matrix_run.results[leg.name] for leg in running}
    _report(results)
    _raise_failure(matrix_run.errors, results)
    return results


class _Run:
    """The legs of one matrix while they run, and how they have ended."""

    def __init__(
        self,
        body: Callable[[Leg], object],
        combinations: Mapping[str, Mapping[str, str]],
        legs: Sequence[RunningLeg],
        *,
        fail_fast: bool,
    ) -> None:
        self._body = body
        self._combinations = combinations
        self._legs = legs
        self._fail_fast = fail_fast
        self.results: dict[str, LegResult] = {}
        self.errors: dict[str, BaseException] = {}

    def work(self, leg: RunningLeg) -> None:
        values = self._combinations[leg.name]
        try:
            leg.refuse_if_cancelled()
            with working_for(leg):
                value = self._body(Leg(leg.name, values, leg.workspace, current().workspace))
            self.results[leg.name] = LegResult(leg.name, "success", values, value=value)
        except LegCancelled as cancelled:
            self.results[leg.name] = LegResult(leg.name, "cancelled", values, cancelled.what)
        except BaseException as error:  # noqa: BLE001 - raised again when all legs have ended
            self.results[leg.name] = LegResult(leg.name, "failure", values, _sentence(error))
            self.errors[leg.name] = error
            if self._fail_fast:
                self._cancel_all_but(leg)

    def _cancel_all_but(self, failed: RunningLeg) -> None:
        """None of them may begin while another one is being stopped."""
        others = [leg for leg in self._legs if leg is not failed]
        for leg in others:
            leg.cancelled.set()
        for leg in others:
            leg.cancel()


def _place(isolated: bool) -> tuple[str, int]:
    """The workspace of a leg as the danubefile sees it, and its number; 0 where it shares those of the job."""
    session, outer = current(), current_leg()
    if not isolated:
        return (session.workspace, 0) if outer is None else (outer.workspace, outer.isolation)
    if outer is not None and outer.isolation:
        what = "an isolated leg cannot have isolated legs of its own"
        raise DanubeError("matrix-invalid", what, hint="give one matrix all axes")
    if not session.leg_workspaces:
        hint = "leave out isolated=True, or start one job for each combination: docs/pipelines.md"
        raise DanubeError(UNSUPPORTED, "this server cannot isolate the legs of a matrix", hint=hint)
    number = session.next_sequence("leg")
    if number > MAX_ISOLATED:
        hint = "leave some out with exclude, or leave out isolated=True for the matrix that does not need it"
        raise DanubeError("matrix-invalid", f"a job has at most {MAX_ISOLATED} isolated legs", hint=hint)
    return f"{session.leg_workspaces}/{number}", number


def _combinations(
    axes: Mapping[str, Sequence[str]], exclude: Sequence[Mapping[str, str]]
) -> Mapping[str, Mapping[str, str]]:
    """The values of each leg, by the leg's name. Raises DanubeError."""
    for axis, values in axes.items():
        if isinstance(values, str) or not values:
            hint = f'{axis}=["one", "two"]'
            raise DanubeError("matrix-invalid", f"the axis {axis!r} needs a list of values", hint=hint)
        check_texts("matrix-invalid", {f"a value of the axis {axis!r}": value for value in values})
    for left_out in exclude:
        if unknown := sorted(left_out.keys() - axes.keys()):
            hint = f"its axes: {', '.join(axes)}"
            raise DanubeError("matrix-invalid", f"exclude names {unknown[0]!r}, which is not an axis", hint=hint)
    found: dict[str, Mapping[str, str]] = {}
    for values in itertools.product(*axes.values()):
        leg = dict(zip(axes, values, strict=True))
        if not any(left_out.items() <= leg.items() for left_out in exclude):
            found[", ".join(f"{axis}={value}" for axis, value in leg.items())] = leg
        if len(found) > MAX_LEGS:
            break
    longest = max(found, key=lambda name: len(name.encode()), default="")
    if not axes or not found or len(found) > MAX_LEGS or len(longest.encode()) > MAX_NAME_BYTES:
        what = f"a matrix has 1 to {MAX_LEGS} combinations, whose names have at most {MAX_NAME_BYTES} bytes"
        cause = f"this one has {'more' if len(found) > MAX_LEGS else len(found)}"
        raise DanubeError("matrix-invalid", what, cause=cause, hint='step.matrix(test, python=["3.11", "3.12"])')
    return found


def _sentence(error: BaseException) -> str:
    text = error.what if isinstance(error, DanubeError) else str(error)
    return text if isinstance(error, DanubeError) else f"{type(error).__name__}: {text}"


def _report(results: Mapping[str, LegResult]) -> None:
    """One line for each leg, in the job's log."""
    for leg in results.values():
        print(f"leg {leg.name}: {leg.status}{': ' if leg.message else ''}{leg.message}", flush=True)


def _raise_failure(errors: Mapping[str, BaseException], results: Mapping[str, LegResult]) -> None:
    """An error of the function itself takes precedence over failed steps: its traceback is wanted."""
    for name, error in errors.items():
        if not isinstance(error, StepFailed):
            error.add_note(f"in leg {name!r} of the matrix")
            raise error
    steps = {name: error for name, error in errors.items() if isinstance(error, StepFailed)}
    if steps:
        first = next(steps[name] for name in results if name in steps)
        raise MatrixFailed(f"{len(errors)} of {len(results)} legs failed; {first.what}", first, results)
