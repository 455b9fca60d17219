"""Messages for denied egress: the proxy's HTTP response, the job log line, `danube explain`. Pure."""

from danube_pkg.core.egress.companions import service_of
from danube_pkg.core.egress.ledger import DESCRIPTIONS, Contact
from danube_pkg.core.egress.policy import EgressReason, Verdict, yaml_lines

_STATUS = {
    EgressReason.BAD_REQUEST: 400,
    EgressReason.CREDENTIAL_WRONG: 407,
    EgressReason.CREDENTIAL_FOREIGN: 407,
    EgressReason.NO_ADDRESS: 502,
    EgressReason.UNREACHABLE: 502,
    EgressReason.TOO_MANY_CONNECTIONS: 503,
    EgressReason.LEDGER_FULL: 503,
}

_WITHOUT_TARGET = (
    EgressReason.NO_ROUTE,
    EgressReason.RAW_SOCKET,
    EgressReason.CREDENTIAL_WRONG,
    EgressReason.CREDENTIAL_FOREIGN,
)


def status_of(contact: Contact) -> int:
    """The HTTP status of the response."""
    return _STATUS.get(contact.reason, 403)


def reason_phrase(contact: Contact) -> str:
    """The reason phrase, which is all that most clients show of a response to CONNECT."""
    where = f"{contact.host}:{contact.port}" if contact.host else "a bad target"
    if contact.verdict is Verdict.FAILED:
        return f"Danube could not reach {where} ({contact.reason})"
    allow = f"; to allow it: egress_allowlist: [{', '.join(contact.allow)}]" if contact.allow else ""
    return f"Danube refuses egress to {where} ({contact.reason}){allow}"


def page(contact: Contact) -> str:
    """The body of the response."""
    text = f"{reason_phrase(contact).partition(';')[0]}: {contact.describe()}.\n"
    if contact.verdict is Verdict.REFUSED and contact.allow:
        text += (
            "\nTo allow it, add this to the spec of the pipeline's YAML, or of config.yaml for every pipeline:\n\n"
            f"{yaml_lines(contact.allow, '  ')}"
            f"\nWith danube run --hermetic: {' '.join(f'--allow {entry}' for entry in contact.allow)}\n"
        )
    return text


def note(contact: Contact) -> str:
    """The line in the job's log, or at the end of a run."""
    if contact.verdict is Verdict.FAILED:
        return f"egress not reached: {contact.describe()}"
    if contact.reason is EgressReason.DNS:
        return f"egress refused: a program looked up {contact.host} by DNS: {contact.describe()}"
    if contact.reason in _WITHOUT_TARGET:
        return f"egress refused: {contact.describe()}"
    allow = f"; to allow it: egress_allowlist: [{', '.join(contact.allow)}]" if contact.allow else ""
    service = service_of(contact.host) if contact.reason is EgressReason.NOT_LISTED else ""
    files = f"; {service} has its files there" if service else ""
    return f"egress refused: {contact.host}:{contact.port} ({contact.reason}): {contact.describe()}{files}{allow}"


def credential_page(reason: EgressReason | None) -> str:
    """The body of a response to a connection that is not known to be a job's. reason: None for no credential."""
    what = "the connection has no credential" if reason is None else DESCRIPTIONS[reason]
    return (
        f"Danube refuses egress: {what}.\n\nUse the proxy as the step's HTTPS_PROXY gives it, with its user and password; "
        "a program that replaces the variable, or drops the user from it, is not known to the proxy.\n"
    )
