"""Lines of parallel steps have the name of their step before them; those of a step that printed alone have none."""

from danube_pkg.cli.commands.logs import _Prefixed
from danube_pkg.cli.step_prefixes import PREFIX_LENGTH, step_prefixes

STEPS = [{"sequence": number, "name": name} for number, name in ((1, "Install"), (2, "Build a"), (3, "Build bb"))]


def sections(*found: tuple[int, int, int]) -> list[dict[str, int]]:
    return [{"step": step, "first": first, "lines": lines} for step, first, lines in found]


def test_only_alternating_steps_have_prefixes() -> None:
    prefix = step_prefixes(sections((1, 0, 2), (2, 2, 1), (3, 3, 1), (2, 4, 1), (0, 5, 1)), STEPS)
    assert [prefix(line) for line in range(6)] == ["", "", "[Build a ] ", "[Build bb] ", "[Build a ] ", ""]
    alone = step_prefixes(sections((1, 0, 2), (2, 2, 3)), STEPS)
    assert [alone(line) for line in range(5)] == [""] * 5
    assert step_prefixes([], STEPS)(0) == ""


def test_a_long_name_is_cut() -> None:
    long = [{"sequence": 1, "name": "n" * 60}, {"sequence": 2, "name": "b"}]
    prefix = step_prefixes(sections((1, 0, 1), (2, 1, 1), (1, 2, 1)), long)
    assert prefix(0) == f"[{'n' * (PREFIX_LENGTH - 1)}…] "


def test_parts_that_end_within_a_line_have_one_prefix() -> None:
    prefixed = _Prefixed(lambda line: f"{line}|")
    parts = ["fir", "st\nsec", "ond\n", "", "third\n\n", "last"]
    assert "".join(map(prefixed.text, parts)) == "0|first\n1|second\n2|third\n3|\n4|last"
    assert _Prefixed(None).text("as it is\n") == "as it is\n"
