"""What ssh, git, HTTP servers and dulwich say, and which of our errors it is."""

import pytest
from dulwich.client import HTTPUnauthorized
from dulwich.errors import GitProtocolError, HangupException

from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.transports import translated
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.repositories.revisions import Credential

REMOTE = RemoteSettings(Credential("deploy key"))


def ssh(*lines: str) -> HangupException:
    """How dulwich reports the end of an ssh process: with what it printed."""
    return HangupException([line.encode() for line in lines])


UNREACHABLE = [
    # The port and the address have the digits of a status.
    ssh("ssh: connect to host 127.0.0.1 port 40123: Connection refused"),
    ssh("ssh: connect to host 10.4.0.3 port 22: Permission denied"),  # by this machine's own firewall
    ssh("ssh: Could not resolve hostname git.example.org: Temporary failure in name resolution"),
    ssh("kex_exchange_identification: read: Connection reset by peer", "Connection reset by 127.0.0.1 port 40301"),
    ssh("kex_exchange_identification: Connection closed by remote host", "Connection closed by 127.0.0.1 port 34010"),
    ssh("Connection closed by 127.0.0.1 port 54031"),
    ssh("Not allowed at this time", "Connection closed by 127.0.0.1 port 22"),
    ssh("Connection timed out during banner exchange", "Connection to 127.0.0.1 port 4013 timed out"),
    ssh("Timeout, server git.example.org not responding."),
    ssh("client_loop: send disconnect: Broken pipe"),
    ssh(),
    BrokenPipeError(32, "Broken pipe"),
    GitProtocolError("unexpected http resp 503 for http://127.0.0.1:40100/app/info/refs"),
    GitProtocolError("unexpected http resp 429 for https://git.example.org/401/403/info/refs"),
    OSError("fatal: unable to access 'http://127.0.0.1:40300/a/': The requested URL returned error: 502"),
    OSError("fatal: unable to access 'http://h:4010/': Failed to connect to h port 4010: Couldn't connect to server"),
    OSError("fatal: unable to access 'https://h/': Could not resolve host: h"),
]

REFUSED = [
    ssh("git@git.example.org: Permission denied (publickey)."),
    ssh("git@127.0.0.1: Permission denied (publickey).", "Connection closed by 127.0.0.1 port 22"),
    ssh("Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures"),
    HTTPUnauthorized('Basic realm="git"', "http://127.0.0.1:8080/app"),
    GitProtocolError("unexpected http resp 403 for http://127.0.0.1:8080/app/info/refs"),
    OSError("remote: HTTP Basic: Access denied"),
    OSError("fatal: unable to access 'https://h/': The requested URL returned error: 403"),
    OSError("fatal: could not read Username for 'https://h': terminal prompts disabled"),
    OSError("fatal: Authentication failed for 'https://h/app/'"),
]

NOT_FOUND = [
    GitProtocolError("unexpected http resp 404 for http://127.0.0.1:40100/app/info/refs"),
    ssh("fatal: '/srv/401/publickey.git' does not appear to be a git repository"),
    ValueError("could not read object 4031f0c401"),
]


@pytest.mark.parametrize(
    ("error", "reference"),
    [
        *((one, "source-unreachable") for one in UNREACHABLE),
        *((one, "source-refused") for one in REFUSED),
        *((one, "source-unavailable") for one in NOT_FOUND),
    ],
    ids=str,
)
def test_an_error_is_named_by_what_it_says_and_not_by_digits_in_it(error: Exception, reference: str) -> None:
    found = translated("ssh://git@127.0.0.1/app", REMOTE, error)
    assert (found.reference, isinstance(found, Unavailable)) == (reference, reference == "source-unreachable")
