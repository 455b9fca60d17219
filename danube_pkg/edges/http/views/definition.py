"""A pipeline's definition: its place in the configuration, and what its danubefile contains."""

from typing import Annotated

from danube_pkg.core.danubefile import Outline
from danube_pkg.core.documents.marked import about
from danube_pkg.edges.http.views.configuration import FindingView
from danube_pkg.kit.records import Record


class StepOutlineView(Record):
    """One call that makes a step."""

    name: Annotated[str, about("The step's name; … stands for what is computed.")]
    image: Annotated[str, about("Its image; empty for the pipeline's.")]
    line: Annotated[int, about("The line of the call.")]


class NamedView(Record):
    """A secret or an artifact that the danubefile names."""

    name: Annotated[str, about("Its name.")]
    line: Annotated[int, about("The line that names it.")]


class OutlineView(Record):
    """What a danubefile contains, read without running it."""

    name: Annotated[str, about("The name in `@pipeline`.")]
    function: Annotated[str, about("The function that `@pipeline` marks.")]
    line: Annotated[int, about("The line on which the function begins.")]
    steps: Annotated[tuple[StepOutlineView, ...], about("The calls that make steps.")]
    images: Annotated[tuple[str, ...], about("The images that steps name.")]
    secrets: Annotated[tuple[NamedView, ...], about("The secrets that are read.")]
    artifacts: Annotated[tuple[NamedView, ...], about("The artifacts that are uploaded.")]


class DefinitionView(Record):
    """A pipeline's definition and its danubefile."""

    place: Annotated[str, about("File and line of the definition in the configuration repository.")]
    revision: Annotated[str, about("The applied revision of the configuration.")]
    commit_sha: Annotated[str, about("The commit that the danubefile was read from.")]
    branch: Annotated[str, about("The branch that led to the commit; empty if none did.")]
    script_url: Annotated[str, about("The danubefile's page at the forge; empty if it is not known.")]
    outline: Annotated[OutlineView | None, about("What the danubefile contains; null if it has no pipeline.")]
    findings: Annotated[tuple[FindingView, ...], about("The mistakes in the danubefile.")]


def outline_view(outline: Outline) -> OutlineView:
    """The outline as it is."""
    return OutlineView(
        name=outline.name,
        function=outline.function,
        line=outline.line,
        steps=tuple(StepOutlineView(one.name, one.image, one.line) for one in outline.steps),
        images=outline.images,
        secrets=tuple(NamedView(one.name, one.line) for one in outline.secrets),
        artifacts=tuple(NamedView(one.name, one.line) for one in outline.artifacts),
    )
