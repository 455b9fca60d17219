"""Hostile jobs, drawn from tables of tricks, beside honest ones on a real server: `make e2e`, as root and as an
ordinary user. Nothing here may leave the loopback, and every trick bounds itself, so that a broken bound does not stop
the machine.
"""
