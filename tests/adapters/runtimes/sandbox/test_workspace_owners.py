"""The maps by which a workspace is shown to users of images."""

from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.adapters.runtimes.sandbox.id_maps import IDS_OF_A_POD
from danube_pkg.adapters.runtimes.sandbox.workspace_owners import exchange

IDS = st.integers(0, IDS_OF_A_POD - 1)


def shown(text: str, number: int) -> list[int]:
    """Every id that the map shows for one on the disk."""
    ranges = [tuple(map(int, line.split())) for line in text.splitlines()]
    return [to + number - first for first, to, count in ranges if first <= number < first + count]


@given(st.integers(0, 1 << 31), IDS, IDS, IDS)
def test_two_ids_are_exchanged_and_every_other_one_stays(base: int, one: int, other: int, third: int) -> None:
    text = exchange(base, one, other)
    assert shown(text, base + one) == [base + other]
    assert shown(text, base + other) == [base + one]
    if third not in (one, other):
        assert shown(text, base + third) == [base + third]
    assert shown(text, base - 1) == shown(text, base + IDS_OF_A_POD) == []
    assert len(text.splitlines()) <= 5
