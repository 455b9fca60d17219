"""docs/cli.md is made from the commands' parsers, and has every command and option with a meaning."""

import re

from build_steps.cli_page import PAGE, cli_page
from danube_pkg.cli.command_table import COMMANDS


def test_the_page_is_made_from_the_parsers() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_page(), "write it: python -m build_steps.cli_page"


def test_the_page_has_every_command_and_says_what_each_argument_means() -> None:
    page = cli_page()
    assert [name for name, _ in COMMANDS] == re.findall(r"^## `danube ([a-z-]+)`$", page, re.MULTILINE)
    assert re.findall(r"^\| `.*` \|\s*\|$", page, re.MULTILINE) == []
