"""A list that is limited to a name which nothing has: it may be right, so that it is empty and said to be."""

import pytest

from danube_pkg.cli.output import note_unknown
from tests.cli.shell import Shell, with_alice
from tests.edges.http.api import PASSWORD, Api


async def test_a_branch_an_actor_or_an_action_that_nothing_has_is_noted(api: Api, shell: Shell) -> None:
    with_alice(api)
    await shell.danube("login", api.address, "--email", "alice@example.com", given=f"{PASSWORD}\n")
    await api.job("app")
    assert await shell.noted("jobs", "--branch", "mian") == (
        "danube: nothing found of branch 'mian'; did you mean 'main'?\n"
    )
    assert await shell.noted("jobs", "--branch", "main") == ""


async def test_a_login_says_which_other_server_commands_use_here(api: Api, shell: Shell) -> None:
    with_alice(api)
    words = ("login", api.address, "--email", "alice@example.com")
    assert "all the same" not in await shell.noted(*words, given=f"{PASSWORD}\n")
    (shell.home / ".danube").mkdir()
    said = await shell.noted(*words, given=f"{PASSWORD}\n")
    assert (
        f"commands here use {shell.home}/.danube/danube.sock all the same; name this one: --server {api.address}"
        in said
    )


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (["set-secrets", "login"], "; did you mean 'set-secrets'?"),
        (["login", "", "login"], "; known here: login"),
        ([], ""),
        (["set-secret"], None),
    ],
)
def test_a_note_names_the_nearest_or_what_there_is(
    capsys: pytest.CaptureFixture[str], known: list[str], said: str | None
) -> None:
    note_unknown("action", "set-secret", known)
    expected = "" if said is None else f"danube: nothing found of action 'set-secret'{said}\n"
    assert capsys.readouterr().err == expected
