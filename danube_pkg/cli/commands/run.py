"""`danube run [PATH]`: run the danubefile of the working tree, with uncommitted changes, without a server.

The engine is the server's, with its data below the user's state directory, where the logs and artifacts of the last few
runs are kept. If a run was killed, the next one removes what is left of its pod.
"""

import argparse
import asyncio
import codecs
import secrets as randomness
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from danube_pkg.adapters.git.process import Worker, worker_processes
from danube_pkg.bootstrap.run import RunOptions, RunParts, open_run
from danube_pkg.cli.commands.init import PIPELINE_FILE
from danube_pkg.cli.egress_output import print_learned
from danube_pkg.cli.image_settings import image_options, local_settings
from danube_pkg.cli.job_output import JsonPrinter, LivePrinter, print_end
from danube_pkg.cli.local_approver import LocalApprover
from danube_pkg.cli.missing_programs import LogTail
from danube_pkg.cli.output import print_table, say, show, size
from danube_pkg.cli.process_log import start_log
from danube_pkg.cli.run_directories import (
    KEEP_FILE,
    KEPT_RUNS,
    KeptRun,
    caches_of,
    list_runs,
    made,
    runs_directory,
    tidy,
    tidy_caches,
)
from danube_pkg.cli.run_options import RunRequest, add_arguments, run_request
from danube_pkg.cli.run_watch import run_watching
from danube_pkg.cli.shown_tree import ShownWorkingTree
from danube_pkg.cli.step_prefixes import live_prefixes
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.errors import Conflict, Retryable
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.reasons import run_hint
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.edges.http.views.egress import destination_view
from danube_pkg.edges.http.views.jobs import job_summary, step_view
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.ids import sortable_id
from danube_pkg.kit.records import Mutable, replace, to_builtins
from danube_pkg.kit.trees import remove_tree
from danube_pkg.services.egress import EgressReport
from danube_pkg.services.jobs.follow import LogPart, follow_job
from danube_pkg.services.jobs.requests import start
from danube_pkg.services.secrets import KnownValues


class _Watched(Mutable):
    """What is seen of a run. signal_number: of the last signal, 0 for none."""

    printed: LogTail
    signal_number: int = 0

    def exit_code(self, status: str) -> int:
        """128 and the signal's number, as a shell has it, for a run that ended for it."""
        if status == "success":
            return 0
        return 128 + self.signal_number if self.signal_number else 1


def arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument("--keep", action="store_true", help="keep this run's log and artifacts until danube run --clean")
    parser.add_argument("--watch", action="store_true", help="run again after each change of a file, until Ctrl-C")
    runs.add_argument("--list", action="store_true", help="list the kept runs instead")
    runs.add_argument("--clean", action="store_true", help="remove all kept runs and all caches instead")


def main(options: argparse.Namespace) -> int:
    if options.list:
        return show(list_runs(runs_directory()), options, _print_runs)
    if options.clean:
        removed = asyncio.run(tidy(runs_directory(), everything=True))
        found = {"removed": removed, "caches": tidy_caches(everything=True)}
        return show(found, options, lambda found: say(f"removed {found['removed']} runs, caches of {found['caches']}"))
    known = KnownValues()
    start_log(known, default="error,human", stream_name="stderr")
    settings = local_settings()
    request = run_request(options, settings.runtime.host_paths if settings is not None else ())
    _note_unused_pipeline(options, request)
    try:
        if options.watch:
            return run_watching(request.directory, lambda: asyncio.run(_run(request, known, options)))
        return asyncio.run(_run(request, known, options))
    except KeyboardInterrupt:
        say("danube: interrupted while no step was running", file=sys.stderr)
        return 128 + signal.SIGINT


def _note_unused_pipeline(options: argparse.Namespace, request: RunRequest) -> None:
    """`danube init` writes an image into a pipeline's YAML, which a run without it does not know."""
    unused = request.directory / PIPELINE_FILE
    if options.pipeline is None and not options.image and unused.is_file():
        say(f"{PIPELINE_FILE} is not used: danube run --pipeline {PIPELINE_FILE} runs as it says", file=sys.stderr)


async def _run(request: RunRequest, known: KnownValues, options: argparse.Namespace) -> int:
    runs = runs_directory()
    await tidy(runs)
    tidy_caches()
    data = runs / sortable_id(SystemClock().now(), randomness.token_bytes(10))
    watched = _Watched(LogTail())
    async with AsyncExitStack() as stack:
        worker = Worker(stack.enter_context(worker_processes()))
        opened = RunOptions(
            data=data,
            known=known,
            images=replace(image_options(None, pull_as_server=True), known=known),
            sources=lambda temporary: ShownWorkingTree(request.directory, made(temporary), worker),
            secrets=request.secrets,
            host_paths=request.host_paths,
            caches=caches_of(request.directory),
        )
        run = await stack.enter_async_context(open_run(opened))
        if run.caches_problem:
            say(f"without caches: {run.caches_problem}", file=sys.stderr)
        if options.keep:
            (data / KEEP_FILE).touch()
        job = await _start(run, request)
        approver = LocalApprover(run.jobs.engine, request.approved, may_ask=not options.json)
        ended = await _watch(run, job, watched, approver, as_json=options.json, raw=options.raw)
        for name in approver.unused:
            say(f"danube: --approve {name} was not needed: the run did not ask for it", file=sys.stderr)
        artifacts = await run.jobs.files.artifacts.list(job.id)
        egress = await run.jobs.egress.report(job)
    remove_tree(data / "keys")  # only the log and the artifacts are kept
    if options.json:
        if egress.contacts:
            places = [to_builtins(destination_view(one)) for one in egress.destinations]
            JsonPrinter(sys.stdout).event("egress", {"needed_allowlist": list(egress.needed), "destinations": places})
        return watched.exit_code(ended["status"])
    _print_files(run, job, artifacts, keep=options.keep)
    _print_hints(request, ended, egress, watched)
    print_end(ended)
    return watched.exit_code(ended["status"])


def _print_files(run: RunParts, job: Job, artifacts: Sequence[Artifact], *, keep: bool) -> None:
    for artifact in artifacts:
        path = run.artifact_directory / job.id / artifact.file_name
        say(f"artifact {artifact.name}: {path} ({size(artifact.size_bytes)})", file=sys.stderr)
    life = "until danube run --clean" if keep else f"as one of the last {KEPT_RUNS} runs; danube run --keep keeps it"
    say(f"log: {run.artifact_directory.parent / 'logs' / f'{job.id}.log'}, kept {life}", file=sys.stderr)


def _print_hints(request: RunRequest, ended: Mapping[str, Any], egress: EgressReport, watched: _Watched) -> None:
    succeeded = ended["status"] == "success"
    print_learned(egress, request.pipeline.settings.network, succeeded=succeeded)
    if not succeeded and request.pipeline.settings.image == HOST_IMAGE:
        for note in watched.printed.notes(request.host_paths):
            say(note, file=sys.stderr)


async def _start(run: RunParts, request: RunRequest) -> Job:
    """Start the one job of this run."""
    pipeline = replace(request.pipeline, id=run.store.new_id())
    await run.store.pipelines.apply_pipelines([pipeline], "working-tree")
    return await start(
        run.jobs.engine,
        run.jobs.secrets,
        pipeline.name,
        params=request.params,
        declared=request.declared,
        actor="danube run",
    )


async def _watch(
    run: RunParts, job: Job, watched: _Watched, approver: LocalApprover, *, as_json: bool, raw: bool
) -> Mapping[str, Any]:
    """Print the job until it ends. A signal cancels it; its end is awaited as well."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:

        def interrupt(number: int) -> None:
            watched.signal_number = number
            group.create_task(_cancel(run, job.id), name="cancel")

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt, number)
        printer, events = LivePrinter(sys.stdout, raw=raw), JsonPrinter(sys.stdout)
        latest, prefixes = job, live_prefixes(sys.stdout, None, raw=raw)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        async with follow_job(run.jobs.engine, run.jobs.logs, job.id) as changes:
            async for change in changes:
                if isinstance(change, LogPart):
                    watched.printed.feed(change.data)
                    if as_json:
                        events.event("log", {"text": change.data.decode(errors="replace")})
                    elif prefixes is None:
                        printer.feed(change.data)
                    else:
                        for data, owner in change.runs():
                            printer.text(prefixes.text(decoder.decode(data), owner))
                    continue
                if prefixes is not None:
                    for step in change.steps:
                        prefixes.learn(step.sequence, step.name)
                if as_json:
                    _print_changes(events, latest, change)
                latest = change
                approver.see(latest, group)
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


def _print_runs(runs: Sequence[KeptRun]) -> None:
    rows = [(one.started_at, size(one.size_bytes), "kept" if one.keep else "", str(one.directory)) for one in runs]
    print_table(("STARTED", "SIZE", "", "DIRECTORY"), rows)
