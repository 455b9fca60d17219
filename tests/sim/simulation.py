"""A whole run: `simulate(Scenario(seed=7))`. It ends when every job is closed and every promise was checked."""

import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from danube_pkg.adapters.store import Database
from tests.sim.fate import Deaths, is_of_the_dead
from tests.sim.invariants import broken_promises
from tests.sim.mortal import writing_logs_as
from tests.sim.plans import Author
from tests.sim.scenarios import SECRETS, Scenario
from tests.sim.virtual_time import run_virtually
from tests.sim.world import World

_memory = Path("/dev/shm")
SCRATCH = _memory if os.access(_memory, os.W_OK) else Path(tempfile.gettempdir())
"""Runs write thousands of small files; memory is kinder to them than a disk."""

EXPECTED_ERRORS = frozenset({"log-disk-full"})
"""What a server may report as an error while a disk is full; any other error in its log fails the run."""


def random_scenario(seed: int, *, deaths: int | None = None) -> Scenario:
    """Everything drawn from the seed: jobs, people, troubles, deaths."""
    chance = random.Random(seed)
    author = Author(chance, dict(SECRETS))
    plans = tuple(author.job(f"job-{number}") for number in range(chance.randrange(1, 4)))
    count = chance.randrange(0, 7) if deaths is None else deaths
    by_turn = tuple(round(chance.paretovariate(0.5) * 30) % 6000 for _ in range(count))
    points = frozenset(chance.randrange(1, 500) for _ in range(count // 2))
    full: dict[str, list[tuple[float, float]]] = {}
    for what in ("database", "log", "locked"):
        if chance.random() < 0.3:
            begin = chance.uniform(0, 30)
            full[what] = [(begin, begin + chance.choice([0.05, 1.0, 20.0]))]
    return Scenario(
        seed=seed,
        plans=plans,
        deaths=Deaths(points=points, turns_after_start=by_turn),
        trouble=chance.choice([0.0, 0.1, 0.5]),
        full=full,
        cancels={plan.name: chance.uniform(0, 60) for plan in plans if chance.random() < 0.2},
        murders=tuple(chance.uniform(0, 40) for _ in range(chance.choice([0, 0, 1]))),
        rotations=tuple(chance.uniform(0, 30) for _ in range(chance.choice([0, 0, 1, 2]))),
        downtime=chance.choice([0.01, 2.0, 40.0]),
    )


def simulate(
    scenario: Scenario, *, rerun: str = "", tell: bool = False, look: Callable[[bytes], None] = lambda index: None
) -> World:
    """Run it, check it, and give what is left of it. Fails with the seed and with every promise that was broken.

    look: is shown the index of each log before everything is removed.
    """
    random.seed(scenario.seed)  # the services' backoff draws from the module's own generator
    directory = Path(tempfile.mkdtemp(prefix="danube-sim-", dir=SCRATCH))
    how = rerun or f"python -m tests.sim {scenario.seed}"
    try:
        shutil.copy(_empty_database(), directory / "danube.db")
        world = World(scenario, directory)
        with _hearing(world), writing_logs_as(world.servers):
            try:
                run_virtually(world.run)
            except BaseException as error:
                if tell:
                    print("\n".join(world.story))
                error.add_note(f"seed {scenario.seed}; run it again with: {how}")
                raise
        if tell:
            print("\n".join(world.story))
        broken = broken_promises(world)
        for index in sorted((directory / "logs").glob("*.idx")):
            look(index.read_bytes())
        assert not broken, "\n".join([f"seed {scenario.seed}; run it again with: {how}", *broken])
        return world
    finally:
        shutil.rmtree(directory)


_template: list["tempfile.TemporaryDirectory[str]"] = []
"""Removed when the process ends."""


def _empty_database() -> Path:
    """A database whose migrations have run, made once."""
    if not _template:
        _template.append(tempfile.TemporaryDirectory(prefix="danube-sim-empty-", dir=SCRATCH))
        database = Database(Path(_template[0].name) / "danube.db")
        database._waiting.put(None)
        database._thread.join()
        database._reading.close()
    return Path(_template[0].name) / "danube.db"


@contextmanager
def _hearing(world: World) -> Iterator[None]:
    """Errors that a server logs are complaints, but for those that a dead one leaves behind."""
    handler = _Ear(world)
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


class _Ear(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        fields = getattr(record, "fields", {})
        self._world.note(
            f"log {record.getMessage()} {fields} {error!r}" if error else f"log {record.getMessage()} {fields}"
        )
        if record.levelno >= logging.ERROR and not is_of_the_dead(error) and record.getMessage() not in EXPECTED_ERRORS:
            self._world.complaints.append(f"the server reported {record.getMessage()}: {fields} {error!r}")
