"""Badges are well-formed SVG with an accessible label."""

from xml.etree import ElementTree

import pytest

from danube_pkg.core.reasons import Status
from danube_pkg.edges.http.views.badge import badge


@pytest.mark.parametrize("status", [None, *(one for one in Status if one.ended)])
def test_a_badge_is_well_formed_and_its_label_is_its_text(status: Status | None) -> None:
    root = ElementTree.fromstring(badge("my-app", status))
    words = root.get("aria-label", "")
    assert words.startswith("my-app: ")
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == words.split(": ")
