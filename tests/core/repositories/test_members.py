"""What a forge's answer says about a user's rights: only a clear yes about that very user counts."""

from typing import Any

import pytest

from danube_pkg.core.repositories.forges import Forge, ForgeProject
from danube_pkg.core.repositories.git_authentication import HttpsToken
from danube_pkg.core.repositories.members import may_write, member_request

RULE = HttpsToken("rule", "token", ("*",))
CAROL = {"login": "Carol", "id": 42}


@pytest.mark.parametrize(
    ("forge", "target"),
    [
        (Forge.GITHUB, "repos/team/app/collaborators/c%2F..%2Fd/permission"),
        (Forge.GITEA, "repos/team/app/collaborators/c%2F..%2Fd/permission"),
        (Forge.FORGEJO, "repos/team/app/collaborators/c%2F..%2Fd/permission"),
        (Forge.GITLAB, "projects/team%2Fapp/members/all/42"),
    ],
)
def test_the_request_names_the_user_and_nothing_else(forge: Forge, target: str) -> None:
    request = member_request(ForgeProject(forge, "https://forge.test/api", "team/app", RULE), "c/../d", 42, "t0ken")
    assert (request.method, request.url) == ("GET", f"https://forge.test/api/{target}")
    assert "t0ken" not in repr(request)


@pytest.mark.parametrize(
    ("forge", "answer", "allowed"),
    [
        *(
            (forge, {"permission": permission, "user": CAROL}, allowed)
            for forge in (Forge.GITHUB, Forge.GITEA, Forge.FORGEJO)
            for permission, allowed in (
                ("admin", True),
                ("write", True),
                ("read", False),
                ("none", False),
                (None, False),
            )
        ),
        (Forge.GITEA, {"permission": "owner", "user": CAROL}, True),
        (Forge.GITHUB, {"permission": "owner", "user": CAROL}, False),
        (Forge.GITHUB, {"permission": "write"}, False),
        (Forge.GITHUB, {"permission": "write", "user": {"login": "mallory"}}, False),
        (Forge.GITHUB, {"permission": ["write"], "user": CAROL}, False),
        (Forge.GITHUB, [{"permission": "write", "user": CAROL}], False),
        (Forge.GITHUB, None, False),
        (Forge.GITLAB, {"id": 42, "state": "active", "access_level": 30}, True),
        (Forge.GITLAB, {"id": 42, "state": "active", "access_level": 50}, True),
        (Forge.GITLAB, {"id": 42, "state": "active", "access_level": 20}, False),
        (Forge.GITLAB, {"id": 42, "state": "active", "access_level": "40"}, False),
        (Forge.GITLAB, {"id": 42, "state": "blocked", "access_level": 40}, False),
        (Forge.GITLAB, {"id": 41, "state": "active", "access_level": 40}, False),
        (Forge.GITLAB, {"permission": "write", "user": CAROL}, False),
    ],
)
def test_who_may_write(forge: Forge, answer: Any, allowed: bool) -> None:
    assert may_write(forge, answer, "carol", 42) is allowed
