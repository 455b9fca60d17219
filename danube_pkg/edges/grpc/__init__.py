"""The coordinator's protocol: messages to typed values and back."""

from danube_pkg.kit.late_modules import LateModules

# Messages are coded by a library in C. The one in Python would be a tenth of the server's imports.
with LateModules("google.protobuf.internal.python_message"):
    from danube._proto import coordinator_pb2 as coordinator_pb2
