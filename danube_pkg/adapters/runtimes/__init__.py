"""The runtimes, which create pods. Each implements `core.runtimes.ports.Runtime`; none imports another.

`bootstrap/runtime.py` chooses one by its kind.
"""
