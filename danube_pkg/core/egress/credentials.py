"""How the proxy knows the job and step of a connection that comes over a network: HTTP's basic authentication of
proxies (RFC 9110, section 11.7; RFC 7617), as programs send it for `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`.

The user is the job with its step, the password is the job's: a step can name another step of its own job, as it can
in the sandbox by another loopback address. Pure.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated

from danube_pkg.core.egress.policy import proxy_variables
from danube_pkg.kit.records import HIDDEN, Record

MAX_STEP_DIGITS = 9

_USER = re.compile(r"([A-Za-z0-9-]{1,64})(?:\.([0-9]{1,9}))?")


class NetworkAccess(Record):
    """How steps on a network use the proxy. address: `HOST:PORT`, as pods reach it. direct_hosts: those that they reach
    without it, such as the registry."""

    address: str
    direct_hosts: tuple[str, ...] = ()


class ProxyCredential(Record):
    """What a program says of itself. step: None where it is not known."""

    job_id: str
    step: int | None
    password: Annotated[str, HIDDEN]

    def variables(self, access: NetworkAccess) -> Mapping[str, str]:
        """The variables with which programs use the proxy as this job and step."""
        user = self.job_id if self.step is None else f"{self.job_id}.{self.step}"
        return proxy_variables(f"http://{user}:{self.password}@{access.address}", access.direct_hosts)


def parse_credential(header: bytes | None) -> ProxyCredential | None:
    """The value of a `Proxy-Authorization` header; None for one that is missing or not of this form."""
    scheme, _, encoded = (header or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    found = _USER.fullmatch(user)
    if not colon or found is None:
        return None
    return ProxyCredential(found[1], int(found[2]) if found[2] else None, password)
