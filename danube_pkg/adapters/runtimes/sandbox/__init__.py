"""The embedded runtime: pods as Linux namespaces on this machine, by bubblewrap and two small static programs.

`runtime.py` implements the port over `pods.py`, `containers.py`, `limits.py` and `pod_egress.py`. It must not know a
job's state, only pods; what all runtimes share is pure and belongs to `core/runtimes`.

Nothing is imported here: a small program of this package would import the whole runtime with it.
"""
