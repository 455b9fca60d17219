"""One page for a bug report: what is asked first, and nothing that an owner would not publish.

Only stable names and numbers of the server are taken: its sentences name repositories, pipelines and addresses. What
the machine's checks say is masked: home directory, host name, tokens, e-mail addresses.
"""

import platform
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danube_pkg import __version__
from danube_pkg.core.logs.redaction import Patterns, ValueSet, redact_text
from danube_pkg.core.logs.token_formats import TOKEN_FORMATS
from danube_pkg.ops.doctor import CheckResult

_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|\bhttps?://[^\s/]+")


def bug_report(findings: Sequence[CheckResult], health: Mapping[str, Any] | None, system: Mapping[str, Any]) -> str:
    """The page. health, system: answers of `/health/ready` and `/api/v1/system`; None and empty without a server."""
    lines = [
        f"danube {system.get('version', __version__)}, command line {__version__}",
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}",
        "",
        "Machine:",
        *(f"  {'ok  ' if one.ok else 'FAIL'} {one.name}: {one.what}" for one in findings),
        "",
        *_of_server(health, system),
    ]
    return "\n".join(map(masked, lines)) + "\n"


def _of_server(health: Mapping[str, Any] | None, system: Mapping[str, Any]) -> Sequence[str]:
    if health is None:
        return ("Server: none answers",)
    lines = [f"Server: {health['status']}, started {system.get('started_at', 'at a time that is not shown')}"]
    for part in health["parts"]:
        state = "ok" if part["ok"] else part["reference"]
        lines.append(f"  {part['part']}: {state}, since {part['since']}")
    phases = ", ".join(f"{count} {phase}" for phase, count in system.get("phases", {}).items() if count)
    lines.append(f"  jobs: {phases or 'none open'}")
    lines += [
        f"  repair {one['repair']} at {one['at']}: {one['outcome']} ({one['why']})" for one in system.get("repairs", ())
    ]
    return lines


def masked(line: str) -> str:
    """A line without what identifies its machine or a user."""
    line = redact_text(Patterns(sets=[ValueSet((), TOKEN_FORMATS)], mask_emails=True), line)
    line = line.replace(str(Path.home()), "~") if str(Path.home()) != "/" else line
    host = socket.gethostname()
    line = re.sub(rf"\b{re.escape(host)}\b", "(host)", line) if host else line
    return _ADDRESS.sub("(address)", line)
