"""`danube run --watch` runs again after a change, also after one that came while it ran, and ends with an interrupt."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dulwich import porcelain

from danube_pkg.cli.run_watch import run_watching


def watching(tree: Path, *during: Callable[[], object], pauses: dict[int, Callable[[], object]] | None = None) -> int:
    """How many runs there were. during: what happens in each run; the last run is interrupted. pauses: what happens in
    the pause with that number."""
    runs, slept = iter(during), iter(range(1000))
    count = 0

    def run() -> int:
        nonlocal count
        count += 1
        act = next(runs, None)
        if act is None:
            return 130
        act()
        return 1

    def pause(seconds: float) -> None:
        (pauses or {}).get(next(slept), lambda: None)()

    assert run_watching(tree, run, pause=pause) == 130
    return count


def test_a_change_between_runs_and_one_within_a_run_start_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    count = watching(
        tmp_path, lambda: None, lambda: file.write_text("three"), pauses={2: lambda: file.write_text("22")}
    )
    assert count == 3
    shown = capsys.readouterr().err
    assert shown.count("danube: a.py changed") == 2


def test_what_git_ignores_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    porcelain.init(tmp_path)
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "out").mkdir()
    changes: dict[int, Callable[[], object]] = {
        0: lambda: (tmp_path / "out" / "x").write_text("built"),
        3: lambda: (tmp_path / "new.py").write_text("x"),
    }
    assert watching(tmp_path, lambda: None, pauses=changes) == 2
    assert "danube: new.py changed" in capsys.readouterr().err
