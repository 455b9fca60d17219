"""Runs a self-test: keeps jobs open while faults are injected, then checks what must hold."""

import os
import platform
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from statistics import quantiles

from danube_pkg import __version__
from danube_pkg.cli.selftest import evidence
from danube_pkg.cli.selftest.faults import Fault, FaultKind, FaultTarget, inject
from danube_pkg.cli.selftest.load import Load
from danube_pkg.cli.selftest.machine_state import MachineState, growth_problems, machine_state
from danube_pkg.cli.selftest.promises import PromiseResult, result
from danube_pkg.cli.selftest.scratch import Scratch, open_scratch
from danube_pkg.cli.selftest.workload import SECRET_NAME, kinds, small_kind
from danube_pkg.core.errors import Defect, Invalid
from danube_pkg.kit.process_figures import memory_mb
from danube_pkg.kit.records import Record, replace

AT_ONCE = 4
"""Jobs that run at a time, each with a pod: what two processors and 4 GB hold."""

OPEN_JOBS = 8
"""Those beside them wait, so that a slot that becomes free is used at once, and a kill meets waiting jobs too."""

END_SECONDS = 600.0
"""For all open jobs after the last fault. A source that was unreachable is waited for up to five minutes."""

PAUSES = (0.5, 5.0)
"""Seconds between two faults."""

STALL_SECONDS = 600.0
"""Many jobs in a row are given up when none has ended for so long."""

NOTE_SECONDS = 30.0
"""Between two lines of progress while many jobs run."""

JOBS_POLL_SECONDS = 1.0
"""Between two polls of the open jobs while many run: the server shall run jobs, not answer requests."""

JOB_BYTES = 100 * 1024
"""What a small job leaves on the disk at most: its rows, its log, and lines of the server's log."""

FREE_BYTES = 2 * 1024**3
"""What must be free beside that, for pods."""

WARM_UP_JOBS = 50
"""After so many jobs the caches of a server are filled, and its figures are those to compare with."""

SAMPLES = 20
"""How often the figures are taken during many jobs."""

POLL_SECONDS = 0.2


class SelfTest(Record):
    """What to do. directory: below which the scratch directory is made. chaos_seconds, jobs: for how long faults are
    injected, how many small jobs run in a row; with neither it is a short check. note: takes lines of progress.
    stopped: set by the user to end it early, with a report of what ran until then."""

    directory: Path
    seed: int
    note: Callable[[str], None]
    stopped: threading.Event
    chaos_seconds: float = 0.0
    jobs: int = 0


class SelfTestReport(Record):
    """promises: in the order in which they were checked. figures: by name. samples: of the machine while many jobs ran.
    skipped: what could not be tried, and why. kept: the scratch directory; "" where it was removed."""

    promises: tuple[PromiseResult, ...]
    figures: Mapping[str, object]
    faults: tuple[Fault, ...] = ()
    samples: tuple[MachineState, ...] = ()
    skipped: tuple[str, ...] = ()
    kept: str = ""

    @property
    def passed(self) -> bool:
        return all(one.kept for one in self.promises)


class _Course(Record):
    """What is seen on the way. starts: seconds until a started server answered; stops: until it ended after SIGTERM.
    peak_mb: the server's memory."""

    faults: list[Fault]
    starts: list[float]
    stops: list[float]
    samples: list[MachineState]
    ends: list[str]
    peak_mb: list[float]


def run_selftest(test: SelfTest) -> SelfTestReport:
    """Run it to its end. Raises PlatformError where it cannot be run at all; the scratch directory is kept then."""
    _check_room(test)
    with open_scratch(test.directory, with_disk=bool(test.chaos_seconds)) as scratch:
        scratch.kinds = (small_kind(),) if test.jobs else kinds(scratch.network.address)
        scratch.server.configure(scratch.kinds, AT_ONCE, scratch.network.address, scratch.network.repository_url)
        course = _Course([], [scratch.server.start()], [], [], [], [0.0])
        scratch.server.client.put(f"/api/v1/secrets/{SECRET_NAME}", scratch.secret.encode())
        began = time.monotonic()
        poll = JOBS_POLL_SECONDS if test.jobs else POLL_SECONDS
        load = Load(scratch.server.client, scratch.kinds, OPEN_JOBS, _most(test, scratch), test.seed, poll)
        if test.jobs:
            _sample(test, scratch, load, course, began)
        load.start()
        _inject_faults(test, scratch, load, course, began)
        if test.chaos_seconds:
            load.stop()
        _wait_for_ends(test, scratch, load, course, began)
        seconds = time.monotonic() - began
        promises = _judge(test, scratch, load, course, began)
        report = SelfTestReport(
            tuple(promises),
            _figures(test, load, course, seconds),
            tuple(course.faults),
            tuple(course.samples),
            tuple(filter(None, (scratch.no_disk, _cut_short(test, load)))),
        )
        scratch.keep = not report.passed
        return report if report.passed else replace(report, kept=str(scratch.directory))


def _check_room(test: SelfTest) -> None:
    needed, free = test.jobs * JOB_BYTES + FREE_BYTES, shutil.disk_usage(test.directory).free
    if test.jobs and free < needed:
        raise Invalid(
            "selftest-no-room",
            f"{test.jobs} jobs need {needed >> 20} MiB in {test.directory}, and {free >> 20} MiB are free",
            hint="name a directory of another disk with --directory DIR, or fewer jobs with --jobs N",
        )


def _cut_short(test: SelfTest, load: Load) -> str:
    return f"it was stopped after {len(load.ended)} jobs" if test.stopped.is_set() else ""


def _most(test: SelfTest, scratch: Scratch) -> int:
    """How many jobs are submitted at most."""
    if test.jobs:
        return test.jobs
    return 10**9 if test.chaos_seconds else len(scratch.kinds)


def _inject_faults(test: SelfTest, scratch: Scratch, load: Load, course: _Course, began: float) -> None:
    """Until the time is over. A short check kills the server once, while jobs run."""
    target = FaultTarget(scratch.server, scratch.network, scratch.disk, Random(test.seed), course.starts, course.stops)
    if not test.chaos_seconds and not test.jobs:
        _wait_until(lambda: load.submitted == len(scratch.kinds), scratch, load, course)
        time.sleep(1.0)
        course.faults.append(_one_kill(target))
    started = len(course.starts)
    while time.monotonic() - began < test.chaos_seconds and not test.stopped.is_set():
        # A server that has just started is given as long as that took: on a busy machine nothing would happen else.
        time.sleep(target.chance.uniform(*PAUSES) + (course.starts[-1] if len(course.starts) > started else 0.0))
        started = len(course.starts)
        _watch(scratch, load, course)
        fault = inject(target)
        if fault is not None:
            course.faults.append(fault)
            test.note(f"{time.monotonic() - began:5.0f} s  {fault.kind}: {fault.what}; {len(load.ended)} jobs ended")


def _one_kill(target: FaultTarget) -> Fault:
    at, began = time.time(), time.monotonic()
    target.server.kill()
    target.starts.append(target.server.start())
    return Fault(FaultKind.KILL_SERVER, at, time.monotonic() - began, "SIGKILL, started again")


def _wait_for_ends(test: SelfTest, scratch: Scratch, load: Load, course: _Course, began: float) -> None:
    """Until each accepted job has an end. With many jobs that is where they run, and where figures are taken."""
    if test.jobs:
        first = min(WARM_UP_JOBS, test.jobs)
        for count in range(first, test.jobs + 1, max(1, (test.jobs - first) // SAMPLES)):
            if not _wait_for_count(test, scratch, load, course, count, began):
                load.stop()
                break
            _sample(test, scratch, load, course, began)
    if test.stopped.is_set():
        test.note("it ends early: open jobs are waited for; once more ends it at once")
    _wait_until(lambda: not load.is_alive(), scratch, load, course)
    load.abandon()


def _wait_for_count(test: SelfTest, scratch: Scratch, load: Load, course: _Course, count: int, began: float) -> bool:
    """Whether so many jobs have ended. False where the user stops the test, or no job has ended for long."""
    ended, last = len(load.ended), time.monotonic()
    while len(load.ended) < count and not test.stopped.is_set():
        until = time.monotonic() + NOTE_SECONDS
        _wait_until(partial(_have_ended, test, load, count), scratch, load, course, seconds=NOTE_SECONDS)
        if len(load.ended) > ended:
            ended, last = len(load.ended), time.monotonic()
        elif time.monotonic() - last > STALL_SECONDS or not load.is_alive():
            return False
        if time.monotonic() >= until:
            _note(test, ended, began)
    return not test.stopped.is_set()


def _note(test: SelfTest, ended: int, began: float) -> None:
    seconds = time.monotonic() - began
    left = f", about {(test.jobs - ended) * seconds / ended / 60:.0f} minutes left" if ended else ""
    test.note(f"{seconds:6.0f} s  {ended} of {test.jobs} jobs{left}")


def _sample(test: SelfTest, scratch: Scratch, load: Load, course: _Course, began: float) -> None:
    _watch(scratch, load, course)
    state = machine_state(scratch.server.data, scratch.server.process_id, len(load.ended), began)
    course.samples.append(state)
    rows = sum(state.rows.values())
    test.note(
        f"{state.seconds:6.0f} s  {state.jobs} jobs ended, {state.memory_mb} MB, {state.files} files, {rows} rows"
    )


def _have_ended(test: SelfTest, load: Load, count: int) -> bool:
    return len(load.ended) >= count or test.stopped.is_set()


def _wait_until(
    condition: Callable[[], bool], scratch: Scratch, load: Load, course: _Course, seconds: float = END_SECONDS
) -> None:
    """Returns too when the time is over: the judgement says which jobs have no end."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        if not load.is_alive():
            break
        _watch(scratch, load, course)
        time.sleep(POLL_SECONDS)


def _watch(scratch: Scratch, load: Load, course: _Course) -> None:
    """A server that ended by itself has broken a promise; another one is started, so that the rest can be seen."""
    if end := scratch.server.unexpected_end():
        course.ends.append(end)
        course.starts.append(scratch.server.start())
    if load.error is not None:
        raise Defect("selftest-failed", "the self-test cannot submit jobs", cause=repr(load.error)) from load.error
    course.peak_mb[0] = max(course.peak_mb[0], memory_mb(scratch.server.process_id))


def _missing(test: SelfTest, scratch: Scratch, load: Load) -> list[str]:
    wanted = 0 if test.chaos_seconds or test.stopped.is_set() else _most(test, scratch)
    return [f"{load.submitted} of {wanted} jobs were submitted"] if load.submitted < wanted else []


def _judge(test: SelfTest, scratch: Scratch, load: Load, course: _Course, began: float) -> list[PromiseResult]:
    server = scratch.server
    killed = {fault.job_id for fault in course.faults if fault.job_id}
    found = [
        result("the server kept running", course.ends),
        result("every job was submitted", _missing(test, scratch, load)),
        *evidence.of_jobs(server.client, load, killed, scratch.network.reported),
        *evidence.of_server(server.client),
        evidence.of_machine(server.data),
    ]
    if test.jobs:
        _sample(test, scratch, load, course, began)
        warm = course.samples[min(1, len(course.samples) - 1)]
        found.append(result("nothing grows with the number of jobs", growth_problems(warm, course.samples[-1])))
    server.stop()
    return [*found, *evidence.of_stopped_server(server.data, server.log, scratch.secret.encode())]


def _figures(test: SelfTest, load: Load, course: _Course, seconds: float) -> Mapping[str, object]:
    waits = [_between(job, "created_at", "started_at") for job in load.ended.values() if job["started_at"]]
    ran = [_between(job, "started_at", "finished_at") for job in load.ended.values() if job["started_at"]]
    return {
        "version": __version__,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} processors",
        "load_average": " ".join(f"{one:.1f}" for one in os.getloadavg()),
        "seed": test.seed,
        "seconds": round(seconds, 1),
        "jobs_ended": len(load.ended),
        "jobs_per_minute": round(60 * len(load.ended) / seconds, 1),
        "ends": dict(sorted(Counter(f"{job['pipeline']} {job['status']}" for job in load.ended.values()).items())),
        "refused": dict(sorted(Counter(load.refused.values()).items())),
        "answers_lost": sum(1 for one in load.submissions if not one.job_id),
        "faults": dict(sorted(Counter(str(one.kind) for one in course.faults).items())),
        "start_seconds": _spread(course.starts),
        "stop_seconds": _spread(course.stops),
        "queue_seconds": _spread(waits),
        "run_seconds": _spread(ran),
        "server_peak_mb": round(course.peak_mb[0], 1),
    }


def _between(job: Mapping[str, str], begin: str, end: str) -> float:
    return (datetime.fromisoformat(job[end]) - datetime.fromisoformat(job[begin])).total_seconds()


def _spread(values: Sequence[float]) -> Mapping[str, float]:
    """Median, 95th percentile and largest; empty for no values."""
    if not values:
        return {}
    cuts = quantiles(values, n=20) if len(values) > 1 else [values[0]] * 19
    return {"median": round(cuts[9], 2), "p95": round(min(cuts[18], max(values)), 2), "max": round(max(values), 2)}
