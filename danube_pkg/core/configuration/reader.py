"""The desired state from the configuration's files, or all findings about them at once."""

from danube_pkg.core.configuration.checks import check_documents
from danube_pkg.core.configuration.kinds import ConfigurationFiles, read_documents
from danube_pkg.core.configuration.state import State, desired_state
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import Invalid, SourceLocation


def read_configuration(files: ConfigurationFiles) -> tuple[State | None, tuple[Invalid, ...]]:
    """(the desired state, ()) for valid files, else (None, all findings). References are checked after all documents
    were read, so that the order of files does not matter. An exception of a check is a finding: whatever the files
    hold, this returns."""
    findings = Findings()
    findings.extend(files.findings)
    try:
        documents = read_documents(files.documents, findings)
        check_documents(documents, files, findings)
        if not findings:
            return desired_state(documents, files.base, files.texts), ()
    except Exception as error:  # noqa: BLE001 - a document that a check did not expect must not keep a server down
        findings.add_defect(SourceLocation("configuration"), error)
    return None, findings.sorted()
