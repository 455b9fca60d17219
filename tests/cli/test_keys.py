"""`danube keys`: what an operator gives to forges and to verifiers."""

import json

import pytest

from danube_pkg.adapters.keys.signing import read_public_key
from tests.cli.shell import Shell
from tests.edges.http.api import Api


@pytest.fixture
def at_the_server(api: Api, shell: Shell) -> Shell:
    """The shell of the server's owner, who uses its unix socket."""
    shell.environment["DANUBE_DATA"] = str(api.path)
    return shell


async def test_the_public_keys_are_shown_exported_and_rotated(at_the_server: Shell) -> None:
    shell = at_the_server
    shown = json.loads(await shell.danube("keys", "--json"))
    assert shown["deploy_key"].startswith("ssh-ed25519")
    first = read_public_key(await shell.danube("keys", "export", "--public"))
    assert [one["keyid"] for one in shown["signing_keys"]] == [first.id]
    second = read_public_key(await shell.danube("keys", "rotate"))
    assert f"signing key {first.id} (retired at" in await shell.danube("keys", "show")
    await shell.danube("keys", "export", "--output", str(shell.home / "keys.json"))
    written = json.loads((shell.home / "keys.json").read_text())
    assert [one["keyid"] for one in written["keys"]] == [second.id, first.id]


async def test_a_file_that_cannot_be_written_is_named(at_the_server: Shell) -> None:
    shell = at_the_server
    refusal = await shell.danube("keys", "export", "--output", str(shell.home / "missing" / "keys.json"), code=3)
    assert "missing/keys.json cannot be written" in refusal
    assert "--output" in refusal
