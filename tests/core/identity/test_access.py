"""The table of who may what, over every combination of role, level, ownership and scope."""

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
    Kind,
    Level,
    Need,
    Role,
    Scope,
    Thing,
    can,
    require,
    standing,
)


def person(*teams: tuple[str, Role], scopes: frozenset[Scope] | None = None, global_admin: bool = False) -> Actor:
    return Actor("alice", Kind.PERSON, "alice", global_admin, dict(teams), scopes)


APP = Thing("app", "owners", {"readers": Level.READ, "writers": Level.WRITE, "admins": Level.ADMIN})


@pytest.mark.parametrize(
    ("team", "role", "most"),
    [
        ("readers", Role.MEMBER, Need.READ),
        ("readers", Role.ADMIN, Need.READ),
        ("writers", Role.ADMIN, Need.WRITE),
        ("admins", Role.MEMBER, Need.WRITE),
        ("admins", Role.ADMIN, Need.ADMIN),
        ("owners", Role.MEMBER, Need.WRITE),
        ("owners", Role.ADMIN, Need.ADMIN),
        ("others", Role.ADMIN, Need.LOGIN),
    ],
)
def test_what_one_membership_gives(team: str, role: Role, most: Need) -> None:
    assert standing(person((team, role)), APP) is most


def test_the_best_membership_counts() -> None:
    assert standing(person(("readers", Role.MEMBER), ("owners", Role.ADMIN)), APP) is Need.ADMIN


def test_a_pipeline_nobody_owns_is_not_everybodys() -> None:
    assert standing(person(("", Role.ADMIN)), Thing("app")) is Need.LOGIN


def test_more_is_never_less() -> None:
    """Whoever may more by their teams can do all that somebody with less can."""
    steps = [ANONYMOUS, person(), person(("readers", Role.MEMBER)), person(("writers", Role.MEMBER))]
    steps += [person(("owners", Role.ADMIN)), person(global_admin=True), LOCAL_ADMINISTRATOR]
    for less, more in itertools.pairwise(steps):
        for action in Action:
            assert can(more, action, APP) or not can(less, action, APP), (less, more, action)


def test_a_scope_only_takes_away() -> None:
    for scopes in itertools.chain.from_iterable(
        itertools.combinations(Scope, count) for count in range(len(Scope) + 1)
    ):
        limited = person(("owners", Role.ADMIN), scopes=frozenset(scopes))
        for action in Action:
            assert can(person(("owners", Role.ADMIN)), action, APP) or not can(limited, action, APP)
            if (scope := RULES[action].scope) is not None and scope not in scopes:
                assert not can(limited, action, APP)


def test_a_stranger_can_do_only_what_needs_nothing() -> None:
    allowed = {action for action in Action if can(ANONYMOUS, action, APP) or can(ANONYMOUS, action, SERVER)}
    public = {Action.SEE_HEALTH, Action.SEE_METRICS, Action.SEE_DOCUMENTATION, Action.LOG_IN, Action.SEE_PAGE}
    assert allowed == public | {Action.RECEIVE_HOOK}


def test_refusals_say_no_more_than_they_should() -> None:
    with pytest.raises(Unauthenticated):
        require(ANONYMOUS, Action.SEE_JOB, APP)
    with pytest.raises(NotFound, match="there is no pipeline 'app'"):
        require(person(("others", Role.ADMIN)), Action.CANCEL, APP)
    with pytest.raises(Forbidden, match="alice may not cancel") as refusal:
        require(person(("readers", Role.MEMBER)), Action.CANCEL, APP)
    assert "pipelines/app.yaml" in refusal.value.hint
    with pytest.raises(Forbidden, match="not for cancel") as refusal:
        require(person(("owners", Role.ADMIN), scopes=frozenset({Scope.READ})), Action.CANCEL, APP)
    assert refusal.value.hint == "danube token create --scope write"
