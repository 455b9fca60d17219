"""docs/sdk.md is made from the SDK's docstrings, and leaves out no function that authors may call."""

from build_steps.sdk_page import CALLS, PAGE, public_names, sdk_page
from danube import artifacts, reports, secrets, step


def test_the_page_is_made_from_the_docstrings() -> None:
    assert PAGE.read_text(encoding="utf-8") == sdk_page(), "write it: python -m build_steps.sdk_page"


def test_the_page_has_every_public_function() -> None:
    documented = {name for name, _ in CALLS}
    public = set().union(*(public_names(module) for module in (step, secrets, artifacts, reports)))
    assert public == documented - {"pipeline", "cache", "hash_files"}
