"""Filters that can never match are findings; every name that Git allows is not."""

import pytest

from danube_pkg.core.configuration.filter_checks import check_filters
from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind, TriggerSpec
from danube_pkg.core.documents.marked import Document, Findings, Marked
from danube_pkg.core.errors import SourceLocation

DOCUMENT = Document(Marked({}, SourceLocation("pipelines/app.yaml", 1), {}))


def found(spec: PipelineSpec) -> list[tuple[str, str]]:
    findings = Findings()
    check_filters(DOCUMENT, spec, findings)
    return [(one.what, one.hint) for one in findings.sorted()]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("refs/heads/dev", "write dev"),
        ("origin/main", "write main"),
        ("refs/remotes/origin/a/b", "write a/b"),
        ("heads/dev", "write dev"),
        ("refs/tags/v1", "for tags: triggers: [{on: tag}]"),
        ("^release/.*$", "write, for example: release/* or dev-?"),
        ("release/.*", "write, for example: release/* or dev-?"),
        ("release/[0-9]+", "write, for example: release/* or dev-?"),
        ("release/", "write the branch's name as git branch prints it; * and ? are allowed"),
        ("a..b", "write the branch's name as git branch prints it; * and ? are allowed"),
    ],
)
def test_a_branch_that_can_never_match(pattern: str, hint: str) -> None:
    ((what, says),) = found(PipelineSpec("/app", branch_filter=("main", pattern)))
    assert what.startswith(f"spec.branch_filter[1]: {pattern!r} ")
    assert says == hint


@pytest.mark.parametrize(
    "pattern", ["main", "release/*", "**", "v1.*", "dev-?", "a(b)|c", "feature/x.y", "refs", "@a", "é"]
)
def test_a_branch_that_git_allows(pattern: str) -> None:
    assert found(PipelineSpec("/app", branch_filter=(pattern,))) == []


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("/src/**", "write src/**"),
        ("./src", "write src"),
        ("src/", "write src/**"),
        ("src\\\\a", "write the path as git ls-files prints it; *, ** and ? are allowed"),
        ("src/../a", "write the path as git ls-files prints it; *, ** and ? are allowed"),
    ],
)
@pytest.mark.parametrize("name", ["paths", "paths_ignore"])
def test_a_path_that_can_never_match(name: str, pattern: str, hint: str) -> None:
    ((what, says),) = found(PipelineSpec("/app", **{name: (pattern,)}))  # type: ignore[arg-type]
    assert (what.partition(":")[0], says) == (f"spec.{name}[0]", hint)


@pytest.mark.parametrize("pattern", ["src/**", "**/*.md", "a b", ".github/**", "Icon?", "...", "[a]"])
def test_a_path_that_git_allows(pattern: str) -> None:
    assert found(PipelineSpec("/app", paths=(pattern,), paths_ignore=(pattern,))) == []


def test_a_filter_of_branches_has_no_effect_on_tags() -> None:
    tags, pushes = TriggerSpec(TriggerKind.TAG), TriggerSpec(TriggerKind.PUSH)
    ((what, _),) = found(PipelineSpec("/app", triggers=(tags,), branch_filter=("main",)))
    assert "tags are on no branch" in what
    assert found(PipelineSpec("/app", triggers=(tags, pushes), branch_filter=("main",))) == []
