"""The table of access rules, over every combination of role, level, ownership and scope."""

import itertools

import pytest

from danube_pkg.core.errors import Forbidden, NotFound, Unauthenticated
from danube_pkg.core.identity.access import (
    ANONYMOUS,
    LOCAL_ADMINISTRATOR,
    RULES,
    SERVER,
    Action,
    Actor,
    ActorKind,
    Level,
    Need,
    Scope,
    Target,
    TeamRole,
    access_of,
    can,
    require,
)


def user(*teams: tuple[str, TeamRole], scopes: frozenset[Scope] | None = None, global_admin: bool = False) -> Actor:
    return Actor("alice", ActorKind.PERSON, "alice", global_admin, dict(teams), scopes)


APP = Target("app", "owners", {"readers": Level.READ, "writers": Level.WRITE, "admins": Level.ADMIN})


@pytest.mark.parametrize(
    ("team", "role", "most"),
    [
        ("readers", TeamRole.MEMBER, Need.READ),
        ("readers", TeamRole.ADMIN, Need.READ),
        ("writers", TeamRole.ADMIN, Need.WRITE),
        ("admins", TeamRole.MEMBER, Need.WRITE),
        ("admins", TeamRole.ADMIN, Need.ADMIN),
        ("owners", TeamRole.MEMBER, Need.WRITE),
        ("owners", TeamRole.ADMIN, Need.ADMIN),
        ("others", TeamRole.ADMIN, Need.LOGIN),
    ],
)
def test_access_through_one_membership(team: str, role: TeamRole, most: Need) -> None:
    assert access_of(user((team, role)), APP) is most


def test_the_highest_membership_counts() -> None:
    assert access_of(user(("readers", TeamRole.MEMBER), ("owners", TeamRole.ADMIN)), APP) is Need.ADMIN


def test_a_pipeline_without_an_owner_gives_no_access() -> None:
    assert access_of(user(("", TeamRole.ADMIN)), Target("app")) is Need.LOGIN


def test_a_higher_level_includes_the_lower_ones() -> None:
    steps = [ANONYMOUS, user(), user(("readers", TeamRole.MEMBER)), user(("writers", TeamRole.MEMBER))]
    steps += [user(("owners", TeamRole.ADMIN)), user(global_admin=True), LOCAL_ADMINISTRATOR]
    for less, more in itertools.pairwise(steps):
        for action in Action:
            assert can(more, action, APP) or not can(less, action, APP), (less, more, action)


def test_a_scope_only_restricts() -> None:
    for scopes in itertools.chain.from_iterable(
        itertools.combinations(Scope, count) for count in range(len(Scope) + 1)
    ):
        limited = user(("owners", TeamRole.ADMIN), scopes=frozenset(scopes))
        for action in Action:
            assert can(user(("owners", TeamRole.ADMIN)), action, APP) or not can(limited, action, APP)
            if (scope := RULES[action].scope) is not None and scope not in scopes:
                assert not can(limited, action, APP)


def test_an_unauthenticated_caller_can_do_only_what_needs_no_login() -> None:
    allowed = {action for action in Action if can(ANONYMOUS, action, APP) or can(ANONYMOUS, action, SERVER)}
    public = {
        Action.SEE_HEALTH,
        Action.SEE_METRICS,
        Action.SEE_DOCUMENTATION,
        Action.LOG_IN,
        Action.SEE_PAGE,
        Action.SEE_SIGNING_KEYS,
    }
    assert allowed == public | {Action.RECEIVE_HOOK, Action.ISSUE_REGISTRY_TOKEN}


def test_refusals_do_not_reveal_pipelines() -> None:
    with pytest.raises(Unauthenticated):
        require(ANONYMOUS, Action.SEE_JOB, APP)
    with pytest.raises(NotFound, match="there is no pipeline 'app'"):
        require(user(("others", TeamRole.ADMIN)), Action.CANCEL, APP)
    with pytest.raises(Forbidden, match="alice may not cancel") as refusal:
        require(user(("readers", TeamRole.MEMBER)), Action.CANCEL, APP)
    assert "pipelines/app.yaml" in refusal.value.hint
    with pytest.raises(Forbidden, match="may not be used for cancel") as refusal:
        require(user(("owners", TeamRole.ADMIN), scopes=frozenset({Scope.READ})), Action.CANCEL, APP)
    assert refusal.value.hint == "create one: danube token create --scope write"
