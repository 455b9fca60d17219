"""Who may push where: below a pipeline's own name and what its YAML lists; a name belongs to one pipeline."""

import pytest

from danube_pkg.core.errors import Invalid
from danube_pkg.core.images.push_rights import ImageOwners, owns, push_refused
from danube_pkg.core.images.registry_tokens import TokenScope, parse_scopes

OWNED = {"app": ("myorg/app", "web"), "docs": (), "tools": ("myorg/tools",)}


@pytest.mark.parametrize(
    ("repository", "allowed"),
    [
        ("app/web", True),
        ("app/web/cache", True),
        ("app", False),  # the name alone is listed by who wants it
        ("appendix/web", False),
        ("myorg/app", True),
        ("myorg/app/cache", True),
        ("myorg/apple", False),
        ("myorg", False),
        ("docs/web", False),
    ],
)
def test_a_pipeline_owns_what_is_below_its_name_and_what_it_lists(repository: str, allowed: bool) -> None:
    assert owns("app", OWNED["app"], repository) is allowed


@pytest.mark.parametrize(
    ("name", "owner"),
    [("web", "app"), ("web/cache", "app"), ("myorg", "app"), ("docs/x", "docs"), ("tools", "tools"), ("free", "")],
)
def test_the_owner_of_a_name_has_also_what_is_above_and_below(name: str, owner: str) -> None:
    assert ImageOwners(OWNED).of(name, but="new") == owner
    assert ImageOwners(OWNED).of(name, but=owner) in ("", "tools")


def test_a_refusal_has_the_line_that_allows_it() -> None:
    assert "images: [myorg/app, web, shop/front]" in push_refused("app", "shop/front", OWNED).hint
    taken = push_refused("docs", "web", OWNED)
    assert "belongs to pipeline app" in str(taken)
    assert taken.hint == "push to docs/web instead"


def test_scopes_are_those_of_the_registry() -> None:
    found = parse_scopes(["repository:app/web:pull,push repository:a:pull", "registry:catalog:*"])
    assert found == [
        TokenScope("repository", "app/web", ("pull", "push")),
        TokenScope("repository", "a", ("pull",)),
        TokenScope("registry", "catalog", ("*",)),
    ]
    for bad in ("repository", "a b:c", "repository:x:pull:push:", "repository:" + "x" * 700 + ":pull"):
        with pytest.raises(Invalid):
            parse_scopes([bad])
    with pytest.raises(Invalid, match="more than"):
        parse_scopes(["repository:a:pull"] * 21)
