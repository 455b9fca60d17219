"""Writes the units of deploy/ from the texts that `danube install` writes:  python -m build_steps.unit_files"""

from pathlib import Path

from danube_pkg.install.units import default_unit_texts

DEPLOY = Path(__file__).parents[1] / "deploy"


def main() -> None:
    """Write the files."""
    for name, text in default_unit_texts().items():
        (DEPLOY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
