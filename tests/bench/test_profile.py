"""Which of the machine's processes count as a job's."""

import os

from bench.profile import by_kind
from bench.task_exits import EndedTask

SERVER = 1 << 22
"""Above every process id of Linux, so that no process of the machine is taken for it."""


def ended(process: int, parent: int, name: str, cpu_ms: float) -> EndedTask:
    return EndedTask(process + SERVER, parent + SERVER, name, cpu_ms)


def counted(*tasks: EndedTask) -> dict[str, tuple[int, float]]:
    return {kind: (count, round(ms, 3)) for kind, (count, ms) in by_kind(tasks, SERVER).items()}


def test_processes_below_the_server_are_counted_with_all_their_threads() -> None:
    found = counted(ended(2, 1, "git", 3.0), ended(1, 0, "fork", 1.0), ended(1, 0, "fork", 2.0))
    assert found == {"git": (1, 3.0), "fork": (1, 3.0)}


def test_what_serves_the_repository_is_not_counted() -> None:
    mine = EndedTask(SERVER + 2, os.getpid(), "holder", 1.5)
    git_server = EndedTask(SERVER + 3, os.getpid(), "python", 2.0)
    tasks = [mine, git_server, EndedTask(SERVER + 4, SERVER + 3, "git", 9.0)]
    assert by_kind(tasks, SERVER, beside=SERVER + 3) == {"holder": (1, 1.5)}


def test_a_process_that_lost_its_parent_is_one_of_the_job() -> None:
    orphan = EndedTask(SERVER + 2, os.getpid(), "holder", 1.5)
    assert counted(orphan) == {"holder": (1, 1.5)}


def test_processes_of_others_are_not_counted() -> None:
    assert counted(EndedTask(SERVER + 2, 1, "cron", 5.0)) == {}
