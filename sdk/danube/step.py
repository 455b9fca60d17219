"""Steps: commands that run in a container of the job's pod, in `/workspace`, each in a fresh `/bin/sh -c`."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

from danube._errors import DanubeError
from danube._results import StepHandle, StepResult
from danube._session import StepCall, current

MAX_PARALLEL = 64
"""So many steps run at once; more wait for their turn."""

_turns = threading.BoundedSemaphore(MAX_PARALLEL)
_groups = threading.local()
_without_end: dict[int, str] = {}
"""Names by sequence of the steps that were begun and have no result, whatever became of them."""


def run(
    command: str,
    *,
    name: str | None = None,
    image: str | None = None,
    env: Mapping[str, str] | None = None,
    working_directory: str | None = None,
    timeout_seconds: int | None = None,
    retries: int = 0,
    check: bool = True,
) -> StepResult:
    """Run a command and wait for its end.

    command: given to `/bin/sh -c`; nothing but the files below `/workspace` persists to the next step.
    name: shown in the log and on the page; the command's first line where none is given.
    image: the container's image; the pipeline's default where none is given.
    env: variables of this command only. Secrets belong here, not into the command.
    working_directory: absolute, or below `/workspace`.
    timeout_seconds: after it the command is ended (TERM, then KILL).
    retries: how often the command may be run again when it does not succeed.
    check: raise StepFailed, and make the job red, when it does not succeed.
    """
    handle = _start(command, name, image, env, working_directory, timeout_seconds, retries, check)
    return handle.wait()


def start(
    command: str,
    *,
    name: str | None = None,
    image: str | None = None,
    env: Mapping[str, str] | None = None,
    working_directory: str | None = None,
    timeout_seconds: int | None = None,
    retries: int = 0,
    check: bool = True,
) -> StepHandle:
    """Start a command beside what follows; `wait()` on the handle gives its result. Arguments as for `run`."""
    handle = _start(command, name, image, env, working_directory, timeout_seconds, retries, check)
    for group in getattr(_groups, "open", []):
        group.append(handle)
    return handle


@contextlib.contextmanager
def parallel() -> Iterator[None]:
    """Wait, at the end of the block, for every step that was started in it.

    All are waited for, also when one fails; then the first failure is raised, the others are its notes.
    """
    group: list[StepHandle] = []
    groups: list[list[StepHandle]] = getattr(_groups, "open", [])
    _groups.open = [*groups, group]
    try:
        yield
    except BaseException:
        _join(group)
        raise
    finally:
        _groups.open = groups
    failures = _join(group)
    if failures:
        for other in failures[1:]:
            failures[0].add_note(other.what)
        raise failures[0]


def _join(group: list[StepHandle]) -> list[DanubeError]:
    """Wait for all, whatever becomes of each; what went wrong, in the order in which they were started."""
    failures = []
    for handle in group:
        try:
            handle.wait()
        except DanubeError as failure:  # StepFailed, or what the server refused for good
            failures.append(failure)
    return failures


def _start(
    command: str,
    name: str | None,
    image: str | None,
    env: Mapping[str, str] | None,
    working_directory: str | None,
    timeout_seconds: int | None,
    retries: int,
    check: bool,
) -> StepHandle:
    session = current()
    _check(command, env, timeout_seconds, retries)
    call = StepCall(
        sequence=session.next_sequence("step"),
        name=name or _first_line(command),
        command=command,
        image=image or "",
        environment=dict(env or {}),
        working_directory=_absolute(working_directory, session.workspace),
        timeout_seconds=timeout_seconds or 0,
        retries=retries,
        check=check,
    )
    future: Future[StepResult] = Future()
    without_end = _without_end
    without_end[call.sequence] = call.name

    def work() -> None:
        try:
            with _turns:
                result = session.run_step(call)
        except BaseException as error:  # noqa: BLE001 - it is raised where the step is waited for
            future.set_exception(error)
        else:
            del without_end[call.sequence]
            future.set_result(result)

    threading.Thread(target=work, name=f"step {call.sequence}", daemon=True).start()
    return StepHandle(call.name, future, check)


def steps_without_end() -> list[tuple[int, str]]:
    """Sequence and name of each step that was begun and has no result: it may not even have reached the server yet."""
    return sorted(_without_end.items())


def _check(command: str, env: Mapping[str, str] | None, timeout_seconds: int | None, retries: int) -> None:
    if not isinstance(command, str) or not command.strip():
        raise DanubeError("step-invalid", "a step needs a command", hint='step.run("make test")')
    if "\0" in command or any("\0" in key + value or "=" in key or not key for key, value in (env or {}).items()):
        raise DanubeError("step-invalid", "a command or a variable has a character that cannot be passed on")
    if timeout_seconds is not None and timeout_seconds <= 0:
        raise DanubeError("step-invalid", f"timeout_seconds={timeout_seconds} must be at least 1")
    if not 0 <= retries <= 10:
        raise DanubeError("step-invalid", f"retries={retries} must be from 0 to 10")


def _first_line(command: str) -> str:
    line = command.strip().splitlines()[0]
    return line if len(line) <= 60 else line[:57] + "..."


def _absolute(directory: str | None, workspace: str) -> str:
    if directory is None:
        return workspace
    return directory if directory.startswith("/") else f"{workspace}/{directory}"
