"""The stubs in the tree are those that the generator makes from proto/."""

from pathlib import Path

from build_steps.proto import TARGET, generate


def test_the_stubs_are_up_to_date(tmp_path: Path) -> None:
    generate(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in TARGET.iterdir() if path.is_file()}
    assert sorted(made) == sorted(kept)
    for name, text in made.items():
        assert kept[name] == text, f"{name} is out of date: make proto"
