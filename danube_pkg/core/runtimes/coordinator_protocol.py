"""The version of the protocol between coordinator and server (`proto/danube/v1/coordinator.proto`). Pure."""

COORDINATOR_PROTOCOL = 1
"""What this release's coordinator speaks; `danube_pkg/pod/client.py` has the same number, since pods do not have the
core."""

SUPPORTED_PROTOCOLS = (1,)
"""What this release's server understands: its own and, once there is one, the one before it."""
