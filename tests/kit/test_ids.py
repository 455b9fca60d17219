"""Identifiers sort in the order of their creation, which decides which commit is built last."""

from collections.abc import Callable, Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.kit.ids import SortableIds, sortable_id, time_of

TIMES = st.lists(st.floats(1e9, 4e9), min_size=1, max_size=50)


def clock(times: Iterable[float]) -> Callable[[], float]:
    moments = iter(times)
    return lambda: next(moments)


@given(TIMES, st.integers())
def test_ids_are_sorted_with_any_clock(times: list[float], seed: int) -> None:
    ids = SortableIds(clock(times), Random(seed).randbytes)
    made = [ids() for _ in times]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {26}


def test_a_hundred_in_one_millisecond_keep_their_order() -> None:
    ids = SortableIds(lambda: 1_790_000_000.0, Random(1).randbytes)
    made = [ids() for _ in range(100)]
    assert made == sorted(set(made))


@given(st.floats(1e9, 4e9), st.floats(1e9, 4e9), st.binary(min_size=10, max_size=10))
def test_the_next_process_continues_after_the_last_id(before: float, now: float, randomness: bytes) -> None:
    found = sortable_id(before, randomness)
    ids = SortableIds(lambda: now, Random(2).randbytes)
    ids.continue_after(found)
    assert ids() > found


def test_the_time_of_an_identifier_is_that_of_its_creation() -> None:
    assert time_of(sortable_id(1_800_000_000.123, b"0123456789")) == 1_800_000_000.123
    for text in ("", "j", "01h0000000000000000000000", "01h0000000000000000000000u", "01H00000000000000000000000"):
        assert time_of(text) == 0.0
