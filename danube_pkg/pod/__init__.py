"""The coordinator's program, which runs inside a pod. It may use the SDK and the kit, nothing of the server."""
