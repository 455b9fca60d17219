"""Whether a ref came back to a head: what leads there from another one."""

import pytest

from danube_pkg.core.triggers.heads import NOTHING, leads_to

TO_AND_FRO = [("a", "b"), ("b", "a")]


@pytest.mark.parametrize(
    ("head", "start", "movements", "leads"),
    [
        ("a", "a", [], True),
        ("b", "a", [], False),
        ("a", "b", TO_AND_FRO, True),
        ("d", "a", [("c", "d"), ("a", "b"), ("b", "c")], True),
        ("c", "a", [("a", "b"), ("x", "c")], False),
        (NOTHING, "a", [("a", "")], True),
        ("c", "a", [("a", ""), (NOTHING, "c")], True),
        (NOTHING, "a", [("a", "b")], False),
        ("c", "a", [("", "c")], False),
    ],
)
def test_movements_lead_from_one_head_to_another(
    head: str, start: str, movements: list[tuple[str, str]], leads: bool
) -> None:
    assert leads_to(head, {start}, movements) is leads
