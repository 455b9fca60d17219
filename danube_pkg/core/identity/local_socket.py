"""The unix socket of the local administrator, in the data directory."""

SOCKET_NAME = "danube.sock"
