"""The rules of `rules.py`, over the whole tree."""

from tests.tidy import rules
from tests.tidy.findings import assert_none
from tests.tidy.tree import python, written

CODE = ("danube_pkg/", "sdk/", "build_steps/", "bench/", "build.py", "danube.py")

ENVIRONMENT_READERS = {
    "danube_pkg/pod/coordinator.py": "a process of its own, which gets its settings this way",
    "danube_pkg/adapters/git/process.py": "hands the path of programs on to its child",
    "danube_pkg/kit/fork_server.py": "sets that of the processes that it starts",
    "build_steps/": "no part of the server",
    "bench/": "no part of the server",
}
"""Beside the command line, and why."""


TIME_ITSELF = ("tests/support/waiting.py", "tests/fakes/", "tests/sim/")
"""The one that waits for conditions; commands of a fake machine, which take a given time; and the virtual clock."""


def test_nothing_is_left_for_later() -> None:
    assert_none(rules.unfinished, written())


def test_no_registry_is_named() -> None:
    assert_none(rules.registry_host, written())


def test_every_module_says_what_it_is_for() -> None:
    ours = (source for source in python() if not source.name.startswith("examples/") or source.text)
    assert_none(rules.no_module_docstring, ours)


def test_every_public_function_and_class_says_what_it_is_for() -> None:
    assert_none(rules.no_docstring, python(*CODE))


def test_no_exception_is_swallowed() -> None:
    assert_none(rules.swallowed, python())


def test_the_composition_root_makes_whole_objects() -> None:
    assert_none(rules.finished_later, python("danube_pkg/bootstrap/"))


def test_the_oldest_python_can_run_it() -> None:
    assert_none(rules.too_new, python())


def test_every_task_has_a_name() -> None:
    assert_none(rules.nameless_task, python())


def test_pipes_of_processes_are_closed() -> None:
    assert_none(rules.pipes_left_open, python("danube_pkg/"))


def test_tests_wait_for_conditions() -> None:
    assert_none(rules.sleeps, (s for s in python("tests/") if not s.name.startswith(TIME_ITSELF)))


def test_only_the_command_line_reads_the_environment() -> None:
    others = (s for s in python(*CODE) if not s.name.startswith(("danube_pkg/cli/", *ENVIRONMENT_READERS)))
    assert_none(rules.reads_environment, others)
