"""Ports for servers of tests. The kernel chooses them at random, so that workers of a test run hardly ever meet."""

import socket


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback on which nothing listens at this moment."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def free_port() -> int:
    """A port of the loopback on which nothing listens at this moment."""
    return free_ports(1)[0]
