"""Which repairs are due: at once, then after growing pauses, and not for ever."""

from danube_pkg.core.health.repairs import (
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    MAX_TRIES,
    NO_TRIES,
    REPAIRS,
    Repair,
    pause_seconds,
    plan_repairs,
)


def test_a_repair_is_tried_at_once_then_after_growing_pauses_and_then_given_up() -> None:
    tries, tried, now = NO_TRIES, [], 0.0
    while now < 100_000:
        plan = plan_repairs({"dex-not-answering"}, tries, now)
        tries = plan.tries
        if plan.due:
            assert plan.due == (Repair.RESTART_DEX,)
            tried.append(now)
        now += 60
    assert tried == [0, 300, 900, 2100, 4500, 8100]
    assert len(tried) == MAX_TRIES
    assert plan.given_up == (Repair.RESTART_DEX,)
    assert pause_seconds(1) == FIRST_PAUSE_SECONDS
    assert pause_seconds(MAX_TRIES) == LAST_PAUSE_SECONDS


def test_a_condition_that_comes_and_goes_is_not_repaired_at_each_round() -> None:
    tries = plan_repairs({"dex-not-answering"}, NO_TRIES, 0.0).tries
    tries = plan_repairs((), tries, 10.0).tries
    assert plan_repairs({"dex-not-answering"}, tries, 20.0).due == ()
    plan = plan_repairs({"dex-not-answering"}, tries, FIRST_PAUSE_SECONDS)
    assert plan.due == (Repair.RESTART_DEX,)
    assert plan.tries[Repair.RESTART_DEX].count == 1


def test_repairs_are_made_in_their_order_and_only_for_what_can_be_repaired() -> None:
    found = {"configuration-stale", "disk-low", "disk-full", "issuer-unusable"}
    assert plan_repairs(found, NO_TRIES, 0.0).due == (Repair.MAKE_ROOM, Repair.RETRY_SYNC)
    assert plan_repairs({"issuer-unusable"}, NO_TRIES, 0.0).due == ()


def test_every_repair_has_a_condition() -> None:
    assert set(REPAIRS.values()) == set(Repair)
