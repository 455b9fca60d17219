"""Hostile jobs, drawn from tables of tricks, beside honest ones on a real server, as root and as an ordinary user: all
in `make soak`, some in `make e2e`.

Nothing here may leave the loopback, and every trick bounds itself, so that a broken bound does not stop the machine.
"""
