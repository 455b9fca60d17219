"""Differences of two configurations: computing, applying and describing them, and the grants that they change."""

import pytest
from hypothesis import given, settings

from danube_pkg.core.configuration.changes import Change, ChangeAction, ObjectKind, apply, diff
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.grants import EVERYTHING, GrantChange, changed_grants
from danube_pkg.core.configuration.people import MemberSpec
from danube_pkg.core.configuration.pipelines import PermissionSpec, PipelineSpec, ResourceSpec, TriggerKind, TriggerSpec
from danube_pkg.core.configuration.plan import describe_change
from danube_pkg.core.configuration.state import PipelineDefinition, State, Team, User
from danube_pkg.core.errors import Defect, SourceLocation
from danube_pkg.core.identity.access import Level, TeamRole
from danube_pkg.core.repositories.git_authentication import GitlabToken
from tests.core.configuration.states import states
from tests.support.examples import examples


@settings(max_examples=examples(40), deadline=None)
@given(desired=states(), actual=states())
def test_applying_the_difference_yields_what_is_desired(desired: State, actual: State) -> None:
    assert apply(diff(desired, actual), actual) == desired


@settings(max_examples=examples(40), deadline=None)
@given(state=states())
def test_equal_states_have_no_difference(state: State) -> None:
    assert diff(state, state) == ()


@settings(max_examples=examples(40), deadline=None)
@given(desired=states(), actual=states())
def test_applying_twice_changes_nothing(desired: State, actual: State) -> None:
    assert diff(desired, apply(diff(desired, actual), actual)) == ()


@settings(max_examples=examples(40), deadline=None)
@given(desired=states(), actual=states())
def test_a_difference_names_each_object_once_and_referenced_ones_first(desired: State, actual: State) -> None:
    changes = diff(desired, actual)
    assert len({(one.kind, one.key) for one in changes}) == len(changes)
    order = [*ObjectKind]
    assert [order.index(one.kind) for one in changes] == sorted(order.index(one.kind) for one in changes)
    assert all(one.before != one.after for one in changes)


def test_a_change_of_another_state_is_refused() -> None:
    change = Change(ObjectKind.USER, "a@example.com", User("a@example.com", "a"), None)
    with pytest.raises(Defect):
        apply([change], State())


def pipeline(name: str, team: str = "", place: int = 1, **spec: object) -> PipelineDefinition:
    return PipelineDefinition(name, team, PipelineSpec(repository="/app", **spec), SourceLocation("p.yaml", place))  # type: ignore[arg-type]


def test_a_pipeline_that_only_moved_in_its_file_has_not_changed() -> None:
    before, after = (State(pipelines={"app": pipeline("app", place=line)}) for line in (1, 9))
    assert diff(after, before) == ()


def test_a_change_is_described_field_by_field() -> None:
    before = pipeline("app", "a", image="host")
    after = pipeline("app", "b", image="python:3.12", resources=ResourceSpec(cpu=2))
    change = Change(ObjectKind.PIPELINE, "app", before, after)
    assert change.action is ChangeAction.CHANGE
    assert describe_change(change) == (
        "change pipeline app",
        "  team: a → b",
        "  image: host → python:3.12",
        "  resources.cpu: 0.0 → 2",
    )
    config = Change(ObjectKind.CONFIG, "global", ConfigSpec(), ConfigSpec(egress_allowlist=("a.example",)))
    assert describe_change(config) == ("change the server's configuration", "  egress_allowlist: none → [a.example]")


def test_lists_and_mappings_are_described_item_by_item_in_the_words_of_the_yaml() -> None:
    push, tag, cron = (
        TriggerSpec(TriggerKind.PUSH),
        TriggerSpec(TriggerKind.TAG),
        TriggerSpec(TriggerKind.CRON, "0 3 * * *"),
    )
    before = pipeline("app", triggers=(push, cron), env={"A": "1", "B": "2"})
    after = pipeline("app", triggers=(push, tag), env={"A": "1", "B": "3"})
    assert describe_change(Change(ObjectKind.PIPELINE, "app", before, after)) == (
        "change pipeline app",
        "  triggers:",
        "    - {on: cron, schedule: 0 3 * * *}",
        "    + {on: tag}",
        "  env.B: 2 → 3",
    )
    turned = pipeline("app", triggers=(cron, push), env={"A": "1", "B": "2"})
    assert describe_change(Change(ObjectKind.PIPELINE, "app", before, turned))[1:] == (
        "  triggers:",
        "    in another order",
    )


def test_long_values_are_cut_around_their_difference() -> None:
    before, after = (pipeline("app", image=f"{'x' * 200}{end}") for end in ("one", "two"))
    (_, line) = describe_change(Change(ObjectKind.PIPELINE, "app", before, after))
    assert line == f"  image: …{'x' * 20}one → …{'x' * 20}two"


def test_an_item_says_of_which_type_it_is() -> None:
    before, after = (GitlabToken("ours", "https://gitlab.test", secret, ("*",)) for secret in ("A", "B"))
    configs = [ConfigSpec(git_authentication=(one,)) for one in (before, after)]
    assert describe_change(Change(ObjectKind.CONFIG, "global", *configs))[1:] == (
        "  git_authentication:",
        "    - {type: gitlab_token, name: ours, url: https://gitlab.test, token_secret: A, match_patterns: [*]}",
        "    + {type: gitlab_token, name: ours, url: https://gitlab.test, token_secret: B, match_patterns: [*]}",
    )


def test_a_password_hash_is_not_in_a_description() -> None:
    before, after = User("a@example.com", "a", "$2b$10$old"), User("a@example.com", "a", "$2b$10$new")
    assert describe_change(Change(ObjectKind.USER, "a@example.com", before, after)) == (
        "change user a@example.com",
        "  password_hash: … → …",
    )


def test_gained_and_lost_access_is_listed_by_user() -> None:
    alice, bob = (MemberSpec(f"{name}@example.com", TeamRole.ADMIN) for name in ("alice", "bob"))
    carol = MemberSpec("carol@example.com")
    app = pipeline("app", "owners", permissions=(PermissionSpec("readers", Level.READ),))
    before = State(
        teams={"owners": Team("owners", (alice,)), "readers": Team("readers", (alice, bob))}, pipelines={"app": app}
    )
    after = State(
        teams={"owners": Team("owners", (bob, carol)), "readers": Team("readers", (alice, bob), global_admin=True)},
        pipelines={"app": app, "new": pipeline("new", "owners")},
    )
    assert changed_grants(before, after) == (
        GrantChange("alice@example.com", "app", Level.ADMIN, Level.READ),
        GrantChange("alice@example.com", EVERYTHING, None, Level.ADMIN),
        GrantChange("bob@example.com", "app", Level.READ, Level.ADMIN),
        GrantChange("bob@example.com", EVERYTHING, None, Level.ADMIN),
        GrantChange("bob@example.com", "new", None, Level.ADMIN),
        # `admin` has its full effect only for the team's admins.
        GrantChange("carol@example.com", "app", None, Level.WRITE),
        GrantChange("carol@example.com", "new", None, Level.WRITE),
    )
