"""`danube run [PATH]`: run the danubefile of the working tree, with uncommitted changes, without a server.

The engine is the server's, with its data below the user's state directory, where the logs and artifacts of the last few
runs are kept. If a run was killed, the next one removes what is left of its pod.
"""

import argparse
import asyncio
import os
import secrets as randomness
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from danube_pkg.adapters.git.process import Worker, worker_processes
from danube_pkg.adapters.git.sources import WorkingTree
from danube_pkg.bootstrap.run import RunOptions, RunParts, open_run, remove_left_pods
from danube_pkg.cli.client import key_values
from danube_pkg.cli.commands.secrets import without_line_end
from danube_pkg.cli.durations import seconds
from danube_pkg.cli.egress_output import allowed, print_learned
from danube_pkg.cli.image_settings import image_options
from danube_pkg.cli.job_output import JsonPrinter, LivePrinter, print_end
from danube_pkg.cli.output import say, size
from danube_pkg.cli.process_log import start_log
from danube_pkg.core.errors import Conflict, Invalid, Retryable
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.pipelines import Pipeline, PipelineSettings
from danube_pkg.core.reasons import run_hint
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.edges.http.views.egress import destination_view
from danube_pkg.edges.http.views.jobs import job_summary, step_view
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.ids import sortable_id
from danube_pkg.kit.records import Record, replace, to_builtins
from danube_pkg.kit.trees import remove_tree
from danube_pkg.services.jobs.follow import LogPart, follow_job
from danube_pkg.services.jobs.requests import start
from danube_pkg.services.secrets import KnownValues

KEPT_RUNS = 10
"""Enough to compare the runs of a day; artifacts take space on the user's disk."""

MAX_SECONDS = 24 * 3600
"""The default is long, since the user can end the run at any time."""


class RunRequest(Record):
    """The parsed options."""

    directory: Path
    script: str
    params: Mapping[str, str]
    secrets: Mapping[str, bytes]
    network: Network
    allowlist: tuple[str, ...]
    timeout_seconds: int
    run_as_root: bool


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", nargs="?", default=".", help="a directory, or a danubefile (.)")
    parser.add_argument("--script", metavar="FILE", help="the danubefile, relative to PATH (danubefile.py)")
    parser.add_argument(
        "--param", action="append", default=[], metavar="K=V", help="a parameter; ctx.params in the danubefile"
    )
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="KEY=@FILE",
        help="a secret, read from a file (@- is standard input)",
    )
    parser.add_argument(
        "--network",
        choices=("none", "host"),
        help="steps reach nothing, or use this machine's network (else they reach everything, and it is recorded)",
    )
    parser.add_argument("--hermetic", action="store_true", help="steps reach only what --allow names")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="what steps may reach; @FILE reads the egress_allowlist of a YAML file",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=MAX_SECONDS,
        metavar="TIME",
        help="how long the job may take: 90, 30s, 5m, 1h30m (a day)",
    )
    parser.add_argument(
        "--run-as-root", action="store_true", help="as run_as_root of a pipeline: root runs steps in the image host"
    )
    parser.add_argument("--raw", action="store_true", help="keep control sequences other than colours")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


def main(options: argparse.Namespace) -> int:
    known = KnownValues()
    start_log(known, default="error,human", stream_name="stderr")
    return asyncio.run(_run(_request(options), known, as_json=options.json, raw=options.raw))


def _request(options: argparse.Namespace) -> RunRequest:
    path = Path(options.path).absolute()
    directory, script = (path.parent, path.name) if path.is_file() else (path, options.script or "danubefile.py")
    if not directory.is_dir():
        raise Invalid("path-missing", f"there is no directory {options.path}", hint="danube run DIRECTORY")
    if not (directory / script).is_file():
        raise Invalid(
            "script-missing",
            f"there is no {script} in {directory}",
            hint="danube run DIRECTORY, or name the file: --script ci/danubefile.py",
        )
    if options.timeout < 1:
        what = f"--timeout {options.timeout} must be at least 1"
        raise Invalid("timeout-invalid", what, hint="for an hour: --timeout 1h")
    return RunRequest(
        directory=directory,
        script=script,
        params=key_values(options.param, "param"),
        secrets=_secrets(options.secret),
        network=_network(options),
        allowlist=allowed(options.allow),
        timeout_seconds=options.timeout,
        run_as_root=options.run_as_root,
    )


def _network(options: argparse.Namespace) -> Network:
    """By default steps reach everything, and the allowlist that they need is recorded."""
    if options.network and (options.hermetic or options.allow):
        raise Invalid(
            "network-contradiction",
            f"--network={options.network} does not use an allowlist",
            hint="leave --network out to use --hermetic and --allow",
        )
    return Network(options.network or ("allowlist" if options.hermetic else "learn"))


def _secrets(words: list[str]) -> dict[str, bytes]:
    found = {}
    for key, value in key_values(words, "secret").items():
        if not value.startswith("@"):
            raise Invalid(
                "secret-in-arguments",
                f"the value of {key} must come from a file",
                cause="every user of this machine can read a program's arguments",
                hint=f"--secret {key}=@FILE, or @- for standard input",
            )
        try:
            data = sys.stdin.buffer.read() if value == "@-" else Path(value[1:]).read_bytes()
        except OSError as error:
            raise Invalid(
                "secret-unreadable",
                f"{value[1:]} cannot be read",
                cause=error.strerror or "",
                hint=f"check the path and its permissions: ls -l {value[1:]}",
            ) from error
        found[key] = without_line_end(data)
    return found


async def _run(request: RunRequest, known: KnownValues, *, as_json: bool, raw: bool) -> int:
    runs = _state_directory()
    await _tidy(runs)
    data = runs / sortable_id(SystemClock().now(), randomness.token_bytes(10))
    async with AsyncExitStack() as stack:
        worker = Worker(stack.enter_context(worker_processes()))
        options = RunOptions(
            data=data,
            known=known,
            images=replace(image_options(None, pull_as_server=True), known=known),
            sources=lambda temporary: WorkingTree(request.directory, _made(temporary), worker),
            secrets=request.secrets,
        )
        run = await stack.enter_async_context(open_run(options))
        job = await _start(run, request)
        ended = await _watch(run, job, as_json=as_json, raw=raw)
        artifacts = await run.jobs.artifacts.list(job.id)
        egress = await run.jobs.egress.report(job)
    remove_tree(data / "keys")  # only the log and the artifacts are kept
    if as_json:
        if egress.contacts:
            places = [to_builtins(destination_view(one)) for one in egress.destinations]
            JsonPrinter(sys.stdout).event("egress", {"needed_allowlist": list(egress.needed), "destinations": places})
        return 0 if ended["status"] == "success" else 1
    for artifact in artifacts:
        path = run.artifact_directory / job.id / artifact.file_name
        say(f"artifact {artifact.name}: {path} ({size(artifact.size_bytes)})", file=sys.stderr)
    print_learned(egress, request.network)
    return print_end(ended)


async def _start(run: RunParts, request: RunRequest) -> Job:
    """Start the one job of this run, with a pipeline made from the request."""
    settings = PipelineSettings(
        repository=str(request.directory),
        script=request.script,
        max_duration_seconds=request.timeout_seconds,
        network=request.network,
        egress_allowlist=request.allowlist,
        run_as_root=request.run_as_root,
    )
    pipeline = Pipeline(run.store.new_id(), request.directory.name, "", settings)
    await run.store.pipelines.apply_pipelines([pipeline], "working-tree")
    return await start(run.jobs.engine, run.jobs.secrets, pipeline.name, params=request.params, actor="danube run")


async def _watch(run: RunParts, job: Job, *, as_json: bool, raw: bool) -> Mapping[str, Any]:
    """Print the job until it ends. An interrupt cancels it; its end is awaited as well."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: group.create_task(_cancel(run, job.id), name="cancel"))
        printer, events = LivePrinter(sys.stdout, raw=raw), JsonPrinter(sys.stdout)
        latest = job
        async with follow_job(run.jobs.engine, run.jobs.logs, job.id) as changes:
            async for change in changes:
                if isinstance(change, LogPart):
                    if as_json:
                        events.event("log", {"text": change.data.decode(errors="replace")})
                    else:
                        printer.feed(change.data)
                    continue
                if as_json:
                    _print_changes(events, latest, change)
                latest = change
        printer.close()
        async with run.jobs.engine.watch(job.id) as states:
            async for _ in states:
                continue  # until the job is closed and its pod removed
    return {**to_builtins(job_summary(latest)), "hint": run_hint(latest.reason)}


def _print_changes(events: JsonPrinter, before: Job, after: Job) -> None:
    known = set(before.steps)
    for step in after.steps:
        if step.sequence and step not in known:
            events.event("step", to_builtins(step_view(step)))
    events.event("job", to_builtins(job_summary(after)))


async def _cancel(run: RunParts, job_id: str) -> None:
    try:
        await run.jobs.engine.cancel(job_id, "an interrupt")
    except (Conflict, Retryable) as error:
        say(f"danube: {error}", file=sys.stderr)  # it ended before it could be cancelled


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _state_directory() -> Path:
    """`danube/runs` below XDG_STATE_HOME (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return _made(Path(base).absolute() / "danube" / "runs")


async def _tidy(runs: Path) -> None:
    """Remove pods of killed runs, and all but the last few runs. A run that is still running holds its lock."""
    left = sorted(path for path in runs.iterdir() if path.is_dir())
    for number, path in enumerate(left):
        try:
            await remove_left_pods(path)
        except Conflict:
            continue
        if number < len(left) - KEPT_RUNS:
            await asyncio.to_thread(remove_tree, path)
