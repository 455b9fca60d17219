"""A Kubernetes API server on loopback with one node, whose containers are processes of this machine.

`FakeCluster` in `cluster.py` is what tests use. It speaks HTTP as the real server does: lists and watches with resource
versions, strict decoding, Pod Security, exec over WebSocket. `tests/contract/test_kubernetes_api.py` runs one suite
over it and over a real cluster, so that it cannot drift.

What it does not have: other controllers than those of pods, authorisation beyond a token, control groups (an
out-of-memory kill is made by a test), seccomp and capabilities.
"""
