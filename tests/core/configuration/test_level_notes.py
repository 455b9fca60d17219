"""Where the level `admin` gives less than its name says, `danube validate` says so."""

from danube_pkg.core.configuration.level_notes import admin_levels_without_admins
from tests.core.configuration.test_configuration import state_of

TEXT = """
{apiVersion: danube.dev/v1, kind: User, metadata: {name: bob}, spec: {email: bob@example.com}}
---
{apiVersion: danube.dev/v1, kind: Team, metadata: {name: core}, spec: {members: [MEMBER]}}
---
{apiVersion: danube.dev/v1, kind: Team, metadata: {name: readers}, spec: {members: [bob@example.com]}}
---
{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: app}, spec: {repository: /srv/app, permissions: [
    {team: core, level: admin}, {team: readers, level: read}]}}
---
{apiVersion: danube.dev/v1, kind: Pipeline, metadata: {name: web, team: core}, spec: {repository: /srv/web}}
"""


def test_a_team_without_admins_is_named_once_with_its_pipelines() -> None:
    (note,) = admin_levels_without_admins(state_of(TEXT.replace("MEMBER", "bob@example.com")))
    assert note.startswith(
        "team core has the level admin on app and 1 more, and none of its members has the role admin"
    )
    assert "role: admin" in note


def test_a_team_with_an_admin_is_fine() -> None:
    assert admin_levels_without_admins(state_of(TEXT.replace("MEMBER", "{email: bob@example.com, role: admin}"))) == ()
