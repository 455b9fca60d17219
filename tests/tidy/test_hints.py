"""Every refusal says what fixes it, and what a hint or a document names exists; the rules find what does not."""

import pytest

from tests.tidy import commands, hints
from tests.tidy.findings import assert_none
from tests.tidy.tree import Source, python, written

READ = [source for source in written() if not source.name.startswith("tests/")]
"""What users and developers read. Tests name also what does not exist, to see it refused."""


def sample(text: str) -> Source:
    return Source("danube_pkg/core/sample.py", text)


def test_every_refusal_says_what_fixes_it() -> None:
    assert_none(hints.refusal_without_hint, python("danube_pkg/", "sdk/"))


def test_each_refusal_that_is_listed_without_a_hint_is_made() -> None:
    made = {reference for source in python("danube_pkg/", "sdk/") for reference, _, _ in hints.hintless(source)}
    assert set(hints.WITHOUT_HINT) - made == set()


def test_every_command_that_is_named_exists_with_its_flags() -> None:
    assert_none(hints.unknown_command, READ)


def test_every_flag_in_a_hint_exists() -> None:
    assert_none(hints.unknown_flag, python("danube_pkg/", "sdk/"))


def test_every_target_that_is_named_exists() -> None:
    assert_none(hints.unknown_target, READ)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise NotFound('job-unknown', 'there is no such job')\n", 1),
        ("raise errors.NotFound('job-unknown', what, cause='x')\n", 1),
        ("raise NotFound('job-unknown', 'there is no such job', hint='danube jobs')\n", 0),
        ("raise Unavailable('database-busy', 'try again')\n", 0),
    ],
)
def test_a_refusal_without_a_hint_is_found(text: str, found: int) -> None:
    assert len(list(hints.refusal_without_hint(sample(text)))) == found


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("hint='make room: danube images'\n", "there is no danube images"),
        ("`danube image shrink NAME`\n", "there is no danube image shrink"),
        ("`danube image load FILE --nam X`\n", "danube image load has no --nam"),
        ("`danube jobs --everything`\n", "danube jobs has no --everything"),
        ("danube run \\\n  --nothing\n", "danube run has no --nothing"),
        ("$ .venv/bin/danube server\n", "there is no danube server"),
        ("danube secrets set KEY --scope read\n", "danube secrets set has no --scope"),
        ("f'danube secret set {key}'\n", "there is no danube secret"),
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str, mistake: str) -> None:
    assert [commands.mistake(named.words) for named in commands.commands_in(text)] == [mistake]


@pytest.mark.parametrize(
    "text",
    [
        "f'danube secrets set {key} --pipeline {job.pipeline}   (with danube run: --secret {key}=@FILE)'\n",
        "danube serve with [config_repo] in danube.toml\n",
        "danube config status shows whether it runs\n",
        "`danube logs -f JOB`, then `danube --version`.\n",
        "from danube import step\n",
        "/var/lib/danube is a directory\n",
        "danube explain JOB. That says why.\n",
    ],
)
def test_a_command_that_exists_passes(text: str) -> None:
    assert list(hints.unknown_command(sample(text))) == []


def test_a_finding_has_its_line() -> None:
    assert list(hints.unknown_command(sample("x = 1\nhint = 'danube images'\n"))) == ["2: there is no danube images"]


@pytest.mark.parametrize(("text", "found"), [("--scope jobs:read", 0), ("--scopes jobs:read", 1)])
def test_a_flag_that_does_not_exist_is_found(text: str, found: int) -> None:
    assert len(list(hints.unknown_flag(sample(f"raise Invalid('a', 'b', hint={text!r})\n")))) == found


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", "raise HostLacks('a', 'b', hint='make everything')\n", 1),
        ("a.py", "raise HostLacks('a', 'b', hint='make setup')\n", 0),
        ("a.py", "raise HostLacks('a', 'b', hint=f'make it: mkdir -p {path}')\n", 0),
        ("a.md", "First `make everything`.\n", 1),
        ("a.md", "First `make setup`; that will make everything.\n", 0),
    ],
)
def test_a_target_that_does_not_exist_is_found(name: str, text: str, found: int) -> None:
    assert len(list(hints.unknown_target(Source(name, text)))) == found
