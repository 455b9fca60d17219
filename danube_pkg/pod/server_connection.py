"""How a coordinator reaches its server."""

from dataclasses import dataclass, field
from pathlib import Path

import grpc

MESSAGE_BYTES = 8 * 1024**2

_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
)

SERVER_NAME = "coordinator.danube.internal"
"""The name in the server's certificate, whatever its address is."""

SERVER_FILE, AUTHORITY_FILE, TOKEN_FILE = "server", "ca.pem", "token"


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """How the server is reached. authority: PEM; None for a unix socket, which is not encrypted."""

    address: str
    token: str = field(repr=False)
    authority: bytes | None = None

    @classmethod
    def in_directory(cls, directory: Path) -> "ServerConnection":
        """What a runtime has mounted into the coordinator's container."""
        address, token = ((directory / name).read_text().strip() for name in (SERVER_FILE, TOKEN_FILE))
        return cls(address, token, (directory / AUTHORITY_FILE).read_bytes())

    def channel(self) -> grpc.Channel:
        if self.authority is None:
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(root_certificates=self.authority)
        name = ("grpc.ssl_target_name_override", SERVER_NAME)
        return grpc.secure_channel(self.address, credentials, options=(*_OPTIONS, name))
