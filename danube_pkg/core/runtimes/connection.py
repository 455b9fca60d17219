"""How a coordinator in a cluster reaches its server: an address, the authority that it trusts, its token.

The certificate's name is the same for every server, and each server has an authority of its own that signs nothing
else. So the authority tells one server from another, and an address can change without a new certificate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from danube_pkg.kit.records import Record

COORDINATOR_NAME = "coordinator.danube.internal"
"""The name in the certificate of the server for coordinators; `danube_pkg.pod.server_connection` asks for it."""

SERVER_FILE, AUTHORITY_FILE, TOKEN_FILE = "server", "ca.pem", "token"
"""The files of the directory that DANUBE_CONNECTION names in a coordinator's container."""


class CoordinatorConnection(Record):
    """address: `HOST:PORT` as pods reach it. authority: PEM, one certificate or, during a succession, two."""

    address: str
    authority: str

    def files(self, token: str) -> Mapping[str, str]:
        """The content of each file of the directory: the data of a job's Secret."""
        return {SERVER_FILE: self.address, AUTHORITY_FILE: self.authority, TOKEN_FILE: token}


class ServerCertificate(Record):
    """path: a PEM file with the private key and the chain. renew_at: when another one should be used, Unix seconds."""

    path: Path
    renew_at: float


class ServerCertificates(Protocol):
    """The certificates by which coordinators know the server."""

    def renewed(self) -> ServerCertificate:
        """The certificate to use from now on; the file is written anew once its renewal is due. It blocks for the
        disk, some milliseconds. Raises OSError, Permanent."""
        ...
