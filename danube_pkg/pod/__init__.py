"""What runs inside a pod. It knows the SDK and the kit, nothing of the server."""
