"""A pipeline's YAML file, as `danube run --pipeline FILE` uses it: the image, limits, variables and allowlist that jobs
of a server have."""

from pathlib import Path

from danube_pkg.adapters.configuration.marked_yaml import MAX_FILE_BYTES, parse_yaml
from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.kinds import TypedDocument, read_documents
from danube_pkg.core.configuration.pipelines import PipelineSpec
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import ConfigurationInvalid, Invalid
from danube_pkg.kit.records import Record, replace


class PipelineFile(Record):
    """A pipeline's name and settings, with the server's allowlist before its own."""

    name: str
    spec: PipelineSpec


def read_pipeline_file(path: Path) -> PipelineFile:
    """The one pipeline of a file. In a configuration repository (`pipelines/app.yaml`) the `egress_allowlist` of its
    config.yaml counts as well. Raises Invalid, ConfigurationInvalid with every mistake."""
    found = [one for one in _documents(path) if isinstance(one.spec, PipelineSpec)]
    if len(found) != 1:
        names = ", ".join(one.metadata.name for one in found) or "none"
        raise Invalid(
            "pipeline-ambiguous",
            f"{path} must have exactly one pipeline; found: {names}",
            hint="divide the file: one pipeline a file",
        )
    spec = found[0].spec
    assert isinstance(spec, PipelineSpec)
    server = path.absolute().parent.parent / "config.yaml"
    if path.absolute().parent.name == "pipelines" and server.is_file():
        entries = [
            entry
            for one in _documents(server)
            if isinstance(one.spec, ConfigSpec)
            for entry in one.spec.egress_allowlist
        ]
        spec = replace(spec, egress_allowlist=tuple(dict.fromkeys((*entries, *spec.egress_allowlist))))
    return PipelineFile(found[0].metadata.name, spec)


def _documents(path: Path) -> list[TypedDocument]:
    findings = Findings()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Invalid(
            "pipeline-unreadable",
            f"{path} cannot be read",
            cause=error.strerror or "",
            hint="name a pipeline's YAML: danube init writes a first one",
        ) from error
    documents = read_documents(parse_yaml(data, str(path), findings), findings)
    if findings:
        raise ConfigurationInvalid(findings.sorted())
    return documents
