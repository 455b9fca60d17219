"""Danube is written in the field's standard words; the rule finds the others wherever they stand."""

from collections.abc import Iterator

import pytest

from tests.tidy import words
from tests.tidy.findings import assert_none
from tests.tidy.tree import Source, written
from tests.tidy.wording import discouraged, uses

NOT_OURS = (".json", "LICENSE")
"""Recorded deliveries of forges, packages of npm; a licence."""

THE_TABLE = ("tests/tidy/words.py", "tests/tidy/wording.py", "tests/tidy/test_wording.py", "docs/glossary.md")
"""Files that list the words in order to find them."""

APPEND_ONLY = ("danube_pkg/adapters/store/migrations.py", "tests/adapters/store/schemas/")
"""Migrations that were applied somewhere are never edited, not even a column's old name."""


def prose() -> Iterator[Source]:
    return (
        source
        for source in written()
        if not source.name.endswith(NOT_OURS)
        and source.name not in THE_TABLE
        and not source.name.startswith(APPEND_ONLY)
    )


def test_no_discouraged_word_is_used() -> None:
    assert_none(discouraged, prose())


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("# the job is told\n", 1, "told"),
        ("\nclass ToldJob: ...\n", 2, "told"),
        ("write_told = 1\n", 1, "told"),
        ("TOLD_AT = 1\n", 1, "told"),
        ('"""What is in force."""\n', 1, "in force"),
        ("x = 1\n# the rules that are in\n#   force\n", 2, "in force"),
        ("class InForce: ...\n", 1, "in force"),
        ("def is_in_force(): ...\n", 1, "in force"),
        ("raise X('this is no name')\n", 1, "is no"),
        ('"""Of a stream, in bytes."""\n', 1, "Of …"),
        ("x = 1\n# Of a stream, in bytes.\n", 2, "Of …"),
        ("def poll(self):\n    self._letters = 1\n", 2, "letter | letters"),
        ("class Front: ...\n", 1, "front"),
        ("def look_again(): ...\n", 1, "look again | looks again | looked again | looking again"),
    ],
)
def test_a_discouraged_word_is_found_with_its_line(text: str, line: int, key: str) -> None:
    found = {(use.line, use.key) for use in uses(Source("danube_pkg/core/sample.py", text))}
    assert (line, key) in found


def test_a_phrase_is_found_across_the_lines_of_a_comment_in_c() -> None:
    text = "int x;\n/* what is in\n * force */\n"
    assert [use.line for use in uses(Source("supervisor/sample.c", text))] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "# it is untold, and a warehouse\n",
        "# in forced order; in: force\n",
        "# there is no job, and it is no longer read\n",
        "# is there a job?\n",
        "# it stands in front of the letters\n",
        "def look_up(): ...\n",
        "x = text.front\n",
        "user = ('nobody', 65534)\n",
        '"""Of course."""\n',
        "recommend = amend\n",
    ],
)
def test_ordinary_words_pass(text: str) -> None:
    assert list(discouraged(Source("danube_pkg/core/sample.py", text))) == []


@pytest.mark.parametrize("name", ["danube_pkg/mailroom.py", "danube_pkg/core/reading.py", "web/src/telling/a.ts"])
def test_a_discouraged_name_of_a_file_is_found(name: str) -> None:
    assert list(discouraged(Source(name, "")))


def test_the_finding_names_what_to_write_instead() -> None:
    assert list(discouraged(Source("docs/a.md", "\nWhat mends it.\n"))) == ["2: 'mends'; write: fix"]


def test_each_word_of_the_table_is_found_in_each_of_its_forms() -> None:
    for key in words.WORDS:
        for form in key.split(" | "):
            assert form in {use.found for use in uses(Source("docs/a.md", f"{form}\n"))}, form
