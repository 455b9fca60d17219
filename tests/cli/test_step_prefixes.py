"""Lines of parallel steps have the name of their step before them; those of a step that printed alone have none."""

import io

from danube_pkg.cli.commands.logs import _Prefixed
from danube_pkg.cli.step_prefixes import PREFIX_LENGTH, LivePrefixes, live_prefixes, step_prefixes

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


def test_lines_that_arrive_from_steps_side_by_side_have_the_name_of_their_step() -> None:
    live = LivePrefixes()
    live.learn(2, "Build a")
    live.learn(3, "n" * 60)
    arrived: list[tuple[str, int | None]] = [
        ("alone\n", None),
        ('--- step 3 "n"\n', 0),
        ("compil", 2),
        ("ing\n", 2),
        ("half", 2),
        ("other\r\nline\n", 3),
        ("", 2),
        ("unknown\n", 4),
        ("--- step 2 success\n", 0),
    ]
    assert "".join(live.text(*one) for one in arrived).split("\n") == [
        "alone",
        '--- step 3 "n"',
        "[Build a] compiling",
        "[Build a] half",
        f"[{'n' * (PREFIX_LENGTH - 1)}…] other\r",
        f"[{'n' * (PREFIX_LENGTH - 1)}…] line",
        "[step 4] unknown",
        "--- step 2 success",
        "",
    ]


def test_what_other_programs_read_has_no_prefixes() -> None:
    assert live_prefixes(io.StringIO(), None, raw=False) is None
    assert live_prefixes(io.StringIO(), True, raw=False) is not None
    assert live_prefixes(io.StringIO(), True, raw=True) is None
