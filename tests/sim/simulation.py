"""A whole run: `simulate(Scenario(seed=7))`. It ends when every job is closed, and checks every invariant."""

import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sim.crashing import writing_logs_as
from tests.sim.faults import CrashPlan, is_from_crashed_process
from tests.sim.invariants import violations_of
from tests.sim.job_plans import JobGenerator
from tests.sim.scenarios import SECRETS, Scenario
from tests.sim.state import SimulationState
from tests.sim.virtual_time import run_virtually
from tests.support.databases import SCRATCH, prepare_database

EXPECTED_ERRORS = frozenset({"log-disk-full"})
"""What a server may report as an error while a disk is full; any other error in its log fails the run."""


def random_scenario(seed: int, *, crashes: int | None = None) -> Scenario:
    """Draw everything from the seed: jobs, users, faults, crashes."""
    rng = random.Random(seed)
    author = JobGenerator(rng, dict(SECRETS))
    plans = tuple(author.job(f"job-{number}") for number in range(rng.randrange(1, 4)))
    count = rng.randrange(0, 7) if crashes is None else crashes
    by_turn = tuple(round(rng.paretovariate(0.5) * 30) % 6000 for _ in range(count))
    points = frozenset(rng.randrange(1, 500) for _ in range(count // 2))
    full: dict[str, list[tuple[float, float]]] = {}
    for what in ("database", "log", "locked"):
        if rng.random() < 0.3:
            begin = rng.uniform(0, 30)
            full[what] = [(begin, begin + rng.choice([0.05, 1.0, 20.0]))]
    return Scenario(
        seed=seed,
        plans=plans,
        crashes=CrashPlan(points=points, turns_after_start=by_turn),
        fault_rate=rng.choice([0.0, 0.1, 0.5]),
        full=full,
        cancels={plan.name: rng.uniform(0, 60) for plan in plans if rng.random() < 0.2},
        container_kills=tuple(rng.uniform(0, 40) for _ in range(rng.choice([0, 0, 1]))),
        rotations=tuple(rng.uniform(0, 30) for _ in range(rng.choice([0, 0, 1, 2]))),
        downtime_seconds=rng.choice([0.01, 2.0, 40.0]),
    )


def simulate(
    scenario: Scenario,
    *,
    rerun: str = "",
    verbose: bool = False,
    on_index: Callable[[bytes], None] = lambda index: None,
) -> SimulationState:
    """Run a scenario, check the invariants and return the final state. Fails with the seed and with every violation.

    verbose: print the trace. on_index: called with the index of each log before the data directory is removed.
    """
    random.seed(scenario.seed)  # the services' backoff draws from the module's own generator
    directory = Path(tempfile.mkdtemp(prefix="danube-sim-", dir=SCRATCH))
    how = rerun or f"python -m tests.sim {scenario.seed}"
    try:
        prepare_database(directory / "danube.db")
        state = SimulationState(scenario, directory)
        with _watching_logs(state), writing_logs_as(state.servers):
            try:
                run_virtually(state.run)
            except BaseException as error:
                if verbose:
                    print("\n".join(state.trace))
                error.add_note(f"seed {scenario.seed}; run it again with: {how}")
                raise
        if verbose:
            print("\n".join(state.trace))
        violations = violations_of(state)
        for index in sorted((directory / "logs").glob("*.idx")):
            on_index(index.read_bytes())
        assert not violations, "\n".join([f"seed {scenario.seed}; run it again with: {how}", *violations])
        return state
    finally:
        shutil.rmtree(directory)


@contextmanager
def _watching_logs(state: SimulationState) -> Iterator[None]:
    """Turn errors that a server logs into violations, except those of crashed servers."""
    handler = _LogWatcher(state)
    logger = logging.getLogger("danube")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


class _LogWatcher(logging.Handler):
    def __init__(self, state: SimulationState) -> None:
        super().__init__()
        self._state = state

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        fields = getattr(record, "fields", {})
        self._state.note(
            f"log {record.getMessage()} {fields} {error!r}" if error else f"log {record.getMessage()} {fields}"
        )
        if (
            record.levelno >= logging.ERROR
            and not is_from_crashed_process(error)
            and record.getMessage() not in EXPECTED_ERRORS
        ):
            self._state.violations.append(f"the server reported {record.getMessage()}: {fields} {error!r}")
