"""Steps: commands that run in a container of the job's pod, in `/workspace`, each in a fresh `/bin/sh -e -c`."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace

from danube import _open_steps
from danube._build import BUILDER_IMAGE, build_command, built_image, sbom_name
from danube._errors import DanubeError
from danube._legs import current_leg
from danube._matrix import matrix as matrix
from danube._pipeline import check_shell, checked_environment
from danube._results import StepFailed, StepHandle, StepResult, wait_for_one
from danube._retry import Retry, checked_retry
from danube._retry import retry as retry
from danube._session import Session, StepCall, current, default_environment, default_shell
from danube._snapshots import check_snapshot
from danube._texts import check_texts, check_whole_numbers
from danube._uploads import attach_sbom

matrix.__module__ = retry.__module__ = __name__  # where authors find them
_groups = threading.local()


def run(
    command: str,
    *,
    name: str | None = None,
    image: str | None = None,
    env: Mapping[str, str] | None = None,
    working_directory: str | None = None,
    shell: str | None = None,
    timeout_seconds: int | None = None,
    retries: int | Retry = 0,
    check: bool = True,
    cleanup: bool = False,
    snapshot: str | None = None,
) -> StepResult:
    """Run a command and wait until it has ended.

    command: of at most 128 KiB, run by the shell. Files below `/workspace` are shared by all steps, the rest of a
        container's files by the steps of one image.
    name: shown in the log and on the page; by default the command's first line that is neither `set …` nor a comment.
    image: the container's image; by default the pipeline's.
    env: environment variables of this command, 128 KiB each and 1 MiB together. Secrets belong here, not into the
        command.
    working_directory: absolute, or below `/workspace`.
    shell: the program that runs the command, with its options: `bash -euo pipefail`, `python3`. It gets `-c` and the
        command. By default that of `@pipeline`, or else `/bin/sh -e`, with which the command stops at its first failing
        line. Of a pipe (`a | b`) only the last program counts, unless the shell has `pipefail`; a program in the
        background (`a &`) does not count. An image without `/bin/sh` executes the command's words as they are.
    timeout_seconds: after it the command is stopped (TERM, then KILL).
    retries: how many times a command that does not succeed is run again, 0 to 10; with a pause, and only after some
        failures: `step.retry(3, 10, on=[75])`.
    check: raise StepFailed, and fail the job, when the command does not succeed.
    cleanup: the step may also run while the job is ending, since it was cancelled or has reached its deadline: for the
        pipeline's `grace_seconds`. Any other step is ended then, and no further one is started.
    snapshot: keep what the command changes in its container and in the workspace, and restore it in later jobs in the
        place of the command, where this text is the same: `snapshot=hash_files("package-lock.json")`. Name everything
        that the command reads of the workspace. It must not run beside other steps, nor in a container in which a
        step without a snapshot ran before, and below `/workspace` it may only add files; otherwise it runs, and the log
        says why. It knows no variables of its job but its pipeline and repository.
    """
    handle = _start(
        command,
        name,
        image,
        env,
        working_directory,
        shell,
        timeout_seconds,
        retries,
        check,
        cleanup=cleanup,
        snapshot=snapshot,
    )
    result = handle.wait()
    if (leg := current_leg()) is not None:
        leg.refuse_if_cancelled()
    return result


def start(
    command: str,
    *,
    name: str | None = None,
    image: str | None = None,
    env: Mapping[str, str] | None = None,
    working_directory: str | None = None,
    shell: str | None = None,
    timeout_seconds: int | None = None,
    retries: int | Retry = 0,
    check: bool = True,
    cleanup: bool = False,
) -> StepHandle:
    """Start a command in the background; `wait()` on the handle returns its result. Arguments as for `run`."""
    handle = _start(
        command, name, image, env, working_directory, shell, timeout_seconds, retries, check, cleanup=cleanup
    )
    for group in getattr(_groups, "open", []):
        group.append(handle)
    return handle


def build_image(
    *,
    destination: str | None,
    context: str = ".",
    dockerfile: str = "Dockerfile",
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    cache: bool = True,
    sbom: str | None = None,
    name: str | None = None,
    image: str = BUILDER_IMAGE,
    timeout_seconds: int | None = None,
    retries: int | Retry = 0,
) -> str:
    """Build an image from a Dockerfile with Kaniko, push it, and return its name with its digest, which later steps can
    run in.

        built = step.build_image(destination="registry.danube-system:5000/app/web:1.0")
        step.run("python -m app --version", image=built)

    destination: where it is pushed, host and tag included; a pipeline may push below its own name, and to the `images`
        of its configuration. None builds it only, and "" is returned.
    context: the directory that `COPY` copies from, below `/workspace`.
    dockerfile: relative to the context.
    build_args: values for `ARG`. They are part of the image's history: no secrets.
    target: the last stage to build, of a Dockerfile with several.
    cache: keep layers of `RUN` commands in the registry, below the destination, and use them again.
    sbom: a CycloneDX or SPDX 2 document of the image in JSON, which exists once the build has ended; relative to
        `/workspace`. As of `artifacts.upload`; for a destination in the server's own registry.
    image: the builder. The others as in `run`. A build that fails raises StepFailed and fails the job.
    """
    texts = {"destination": destination or "", "context": context, "dockerfile": dockerfile, "target": target or ""}
    check_texts("step-invalid", texts)
    command = build_command(context, dockerfile, destination, checked_environment(build_args), target, cache=cache)
    if sbom is not None and destination is None:
        raise DanubeError(
            "step-invalid", "an image that is not pushed has no SBOM", hint="name a destination, or leave sbom= out"
        )
    title = name or (f"Build {destination}" if destination else f"Build {dockerfile}")
    built = built_image(
        destination, _start(command, title, image, None, None, None, timeout_seconds, retries, True).wait()
    )
    if sbom is not None and destination is not None:
        attach_sbom(sbom, destination, sbom_name(destination))
    return built


@contextlib.contextmanager
def parallel() -> Iterator[None]:
    """At the end of the block, wait for every step that was started in it.

    All are waited for, also when one fails; then the first failure is raised, with the others as notes.
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


@contextlib.contextmanager
def service(
    name: str,
    command: str,
    *,
    ready: str | None = None,
    image: str | None = None,
    env: Mapping[str, str] | None = None,
    working_directory: str | None = None,
    shell: str | None = None,
    ready_seconds: int = 60,
) -> Iterator[StepHandle]:
    """Run a command beside the steps of the block, such as a database: start it, wait until it is ready, and stop it at
    the end of the block. All steps of a job share the pod's network: it is reached at `127.0.0.1`.

        with step.service("postgres", "docker-entrypoint.sh postgres", image="postgres:16", ready="pg_isready"):
            step.run("make test")

    ready: a command in the same container; it is repeated until it succeeds. Without one the block begins at once.
    ready_seconds: the longest time for that. The other arguments are those of `run`.

    Raises StepFailed where the service ends before the block does or is not ready in time: its log says why.
    """
    check_texts("step-invalid", {"ready": "" if ready is None else ready})
    check_whole_numbers("step-invalid", {"ready_seconds": ready_seconds})
    handle = _start(command, name, image, env, working_directory, shell, None, 0, True, is_service=True)
    try:
        if ready is not None:
            _wait_until_ready(handle, name, ready, image, env, working_directory, ready_seconds)
        yield handle
    except BaseException:
        with contextlib.suppress(DanubeError):  # the first failure is the one to report
            handle.stop()
        raise
    if handle.done:
        raise _ended_early(handle.wait(), "ended before its block did")
    handle.stop()


def _ended_early(result: StepResult, message: str) -> StepFailed:
    """For a service that succeeded, which it must not do before it is stopped."""
    return StepFailed(replace(result, status="failure", reason="step-failed", message=message))


def _wait_until_ready(
    service: StepHandle,
    name: str,
    ready: str,
    image: str | None,
    env: Mapping[str, str] | None,
    working_directory: str | None,
    seconds: int,
) -> None:
    """Raises StepFailed for a service that ends meanwhile, or is not ready in time."""
    loop = f"until {ready}\ndo sleep 0.2\ndone"
    title = f"{name} is ready"
    probe = _start(loop, title, image, env, working_directory, None, seconds, 0, False, is_service=True)
    wait_for_one([service, probe])
    if not probe.done:
        probe.stop()
        raise _ended_early(service.wait(), "ended before it was ready: a service must stay in the foreground")
    result = probe.wait()
    if not result.ok:
        raise StepFailed(replace(result, message=f"was not true within {seconds} s; read the log of step {name!r}"))


def _join(group: list[StepHandle]) -> list[DanubeError]:
    """Wait for all; the failures, in the order in which the steps were started."""
    failures = []
    for handle in group:
        try:
            handle.wait()
        except DanubeError as failure:  # StepFailed, or a permanent refusal of the server
            failures.append(failure)
    return failures


def _start(
    command: str,
    name: str | None,
    image: str | None,
    env: Mapping[str, str] | None,
    working_directory: str | None,
    shell: str | None,
    timeout_seconds: int | None,
    retries: int | Retry,
    check: bool,
    *,
    cleanup: bool = False,
    is_service: bool = False,
    snapshot: str | None = None,
) -> StepHandle:
    session, leg = current(), current_leg()
    texts = {"the command": command, "name": name or "", "image": image or ""}
    texts |= {"working_directory": working_directory or "", "shell": shell or ""}
    check_texts("step-invalid", texts)
    variables = {**default_environment(), **checked_environment(env)}
    _check(command, shell, timeout_seconds)
    if snapshot is not None:
        check_snapshot(snapshot, is_isolated=leg is not None and leg.isolation > 0, cleanup=cleanup)
    again = checked_retry(retries)
    if leg is not None:
        leg.refuse_if_cancelled()
    title = name or _first_line(command)
    call = StepCall(
        sequence=session.next_sequence("step"),
        name=f"{leg.name}: {title}" if leg is not None else title,
        command=command,
        image=image or "",
        environment=variables,
        working_directory=_absolute(working_directory, session.workspace),
        timeout_seconds=timeout_seconds or 0,
        retries=again.times,
        check=check,
        shell=default_shell() if shell is None else shell,
        leg=leg.name if leg is not None else "",
        isolation=leg.isolation if leg is not None else 0,
        retry_delay_seconds=again.delay_seconds,
        retry_on=again.on,
        cleanup=cleanup,
        is_service=is_service,
        snapshot=snapshot or "",
    )
    handle = _begin(session, call)
    if leg is not None:
        leg.watch(handle)
    return handle


def _begin(session: Session, call: StepCall) -> StepHandle:
    """Run a step in a thread of its own."""
    future: Future[StepResult] = Future()
    without_end = _open_steps.without_end
    without_end[call.sequence] = call.name

    def work() -> None:
        try:
            with _open_steps.running:
                result = session.run_step(call)
        except BaseException as error:  # noqa: BLE001 - `wait` raises it
            future.set_exception(error)
        else:
            del without_end[call.sequence]
            future.set_result(result)

    threading.Thread(target=work, name=f"step {call.sequence}", daemon=True).start()
    return StepHandle(
        call.name,
        future,
        call.check,
        on_refusal=lambda: without_end.pop(call.sequence, None),
        on_stop=lambda: session.stop_step(call.sequence),
    )


def _check(command: str, shell: str | None, timeout_seconds: int | None) -> None:
    if not command.strip():
        raise DanubeError("step-invalid", "a step needs a command", hint='step.run("make test")')
    if "\0" in command:
        raise DanubeError("step-invalid", "a command has a NUL byte", hint="put binary data into a file of /workspace")
    if shell is not None:
        check_shell(shell)
    check_whole_numbers("step-invalid", {} if timeout_seconds is None else {"timeout_seconds": timeout_seconds})
    if timeout_seconds is not None and timeout_seconds <= 0:
        raise DanubeError(
            "step-invalid",
            f"timeout_seconds={timeout_seconds} must be at least 1",
            hint="leave it out for no timeout but the job's",
        )


def _first_line(command: str) -> str:
    """The first line that does something; options of the shell and comments say nothing about the step."""
    lines = [line.strip() for line in command.strip().splitlines()]
    line = next((one for one in lines if one and not one.startswith(("#", "set "))), lines[0])
    return line if len(line) <= 60 else line[:57] + "..."


def _absolute(directory: str | None, workspace: str) -> str:
    if directory is None:
        return workspace
    return directory if directory.startswith("/") else f"{workspace}/{directory}"
