"""The desired state from the configuration's files, or all findings about them at once."""

from danube_pkg.core.configuration.checks import check_documents
from danube_pkg.core.configuration.kinds import ConfigurationFiles, read_documents
from danube_pkg.core.configuration.state import State, desired_state
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import Invalid


def read_configuration(files: ConfigurationFiles) -> tuple[State | None, tuple[Invalid, ...]]:
    """(the desired state, ()) for valid files, else (None, all findings). References are checked after all documents
    were read, so that the order of files does not matter."""
    findings = Findings()
    findings.extend(files.findings)
    documents = read_documents(files.documents, findings)
    check_documents(documents, files, findings)
    if findings:
        return None, findings.sorted()
    return desired_state(documents, files.base, files.texts), ()
