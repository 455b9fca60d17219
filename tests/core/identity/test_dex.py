"""Dex's configuration: the same users give the same text, and a user's subject never changes."""

import json

import yaml

from danube_pkg.core.identity.dex import DexSettings, render_dex
from danube_pkg.core.identity.people import Person

SETTINGS = DexSettings("https://ci.example.org/", "a client's secret")
ALICE = Person("id-1", "alice", "alice@example.com", "$2b$12$a")
BOB = Person("id-2", 'bob "the: builder"', "bob@example.com", "$2b$12$b")


def test_the_order_of_users_does_not_matter() -> None:
    assert render_dex(SETTINGS, [ALICE, BOB]) == render_dex(SETTINGS, [BOB, ALICE])


def test_the_file_is_yaml_with_clients_and_users() -> None:
    found = yaml.safe_load(render_dex(SETTINGS, [ALICE, BOB]))
    assert found == json.loads(render_dex(SETTINGS, [ALICE, BOB]))
    assert found["issuer"] == "https://ci.example.org/dex"
    assert "https://ci.example.org/auth/callback" in found["staticClients"][0]["redirectURIs"]
    assert [(one["userID"], one["username"]) for one in found["staticPasswords"]] == [
        ("id-1", "alice"),
        ("id-2", 'bob "the: builder"'),
    ]


def test_removed_users_and_users_without_a_password_are_left_out() -> None:
    gone = Person("id-3", "carol", "carol@example.com", "$2b$12$c", removed=True)
    elsewhere = Person("id-4", "dave", "dave@example.com")
    found = json.loads(render_dex(SETTINGS, [ALICE, gone, elsewhere]))
    assert [one["userID"] for one in found["staticPasswords"]] == ["id-1"]


def test_a_new_password_or_address_keeps_the_id() -> None:
    moved = Person("id-1", "alice", "alice@example.org", "$2b$12$z")
    found = json.loads(render_dex(SETTINGS, [moved]))["staticPasswords"][0]
    assert (found["userID"], found["email"], found["hash"]) == ("id-1", "alice@example.org", "$2b$12$z")


def test_the_command_line_is_a_client_without_a_secret() -> None:
    """Dex shows the secret of a client that logs in by device code to the browser."""
    clients = {one["id"]: one for one in json.loads(render_dex(SETTINGS, []))["staticClients"]}
    assert set(clients) == {"danube", "danube-cli"}
    assert "secret" not in clients["danube-cli"]
    assert SETTINGS.client.for_devices().client_id == "danube-cli"
    assert (SETTINGS.client.for_devices().secret, SETTINGS.client.secret) == ("", "a client's secret")
