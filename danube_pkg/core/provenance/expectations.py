"""What a consumer expects of an artifact's provenance: by the options of `danube verify`, or by a policy file."""

from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.kit.records import Record


class Expectations(Record):
    """Empty lists expect nothing. A policy file is one YAML document with these keys."""

    repositories: Annotated[
        tuple[str, ...],
        rule("The repositories that may have been built, as HOST/PATH or URL; `*` stands for any text."),
    ] = ()
    refs: Annotated[
        tuple[str, ...], rule("The refs, `refs/tags/v*`: `*` stands for any text without a slash, `**` for any text.")
    ] = ()
    pipelines: Annotated[tuple[str, ...], rule("The names of the pipelines.")] = ()
    builders: Annotated[
        tuple[str, ...],
        rule("The builders, as URI or as the last part of their page: `sandbox`. Else every known one but `local`."),
    ] = ()
    parameters: Annotated[
        Mapping[str, str] | None, rule("All parameters that the job may have had, with their values; else any.")
    ] = None
    require_sbom: Annotated[bool, rule("A signed SBOM must be attached.")] = False
    allow_failed: Annotated[bool, rule("Accept artifacts of jobs that did not succeed.")] = False
    allow_untrusted: Annotated[bool, rule("Accept artifacts of untrusted proposals (forks) that were approved.")] = (
        False
    )
    allow_unknown: Annotated[bool, rule("Accept external parameters that this version does not know.")] = False
