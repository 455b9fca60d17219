"""Writes docs/configuration.md from the schema's definitions:  python -m build_steps.reference_page"""

from pathlib import Path

from danube_pkg.core.configuration.reference_page import reference_page

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
