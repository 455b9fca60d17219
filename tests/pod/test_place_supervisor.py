"""The first program of a pod: the supervisor is where every container finds it, or the image is of another version."""

from pathlib import Path

from danube_pkg import __version__
from danube_pkg.pod.place_supervisor import MISMATCH, place


def test_the_supervisor_is_placed_so_that_every_user_can_run_it(tmp_path: Path) -> None:
    source = tmp_path / "image" / "danube-step"
    source.parent.mkdir()
    source.write_bytes(b"program")
    directory = tmp_path / "bin"
    directory.mkdir()
    for _ in range(2):
        assert place(__version__, directory, source) == 0
    (placed,) = directory.iterdir()
    assert (placed.name, placed.read_bytes(), placed.stat().st_mode & 0o777) == ("danube-step", b"program", 0o555)


def test_an_image_of_another_version_says_so_and_places_nothing(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    assert place("0.0.1", tmp_path, tmp_path / "none", log) == MISMATCH
    assert log.read_text() == f"the coordinator image is of version {__version__}, and the server of version 0.0.1"
    assert [one.name for one in tmp_path.iterdir()] == ["termination-log"]
