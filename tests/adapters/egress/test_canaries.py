"""The canary port is open for the server, or it would prove nothing of a pod."""

import asyncio
import socket

import pytest

from danube_pkg.adapters.egress.canaries import CanaryPort
from danube_pkg.core.errors import Permanent


async def test_a_canary_is_reachable_while_it_listens() -> None:
    port = CanaryPort("127.0.0.1:0", "")
    assert not port.targets
    assert not await port.reachable()
    async with port.listening():
        (target,) = port.targets
        assert await port.reachable()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
    assert not await port.reachable()


async def test_a_canary_that_the_server_does_not_reach_is_a_condition() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        further = f"127.0.0.1:{closed.getsockname()[1]}"
    port = CanaryPort("127.0.0.1:0", "127.0.0.1", [further])
    async with port.listening():
        assert not await port.reachable()
        (condition,) = await port.conditions()
    assert condition.reference == "canary-unreachable"
    assert further in condition.what
    assert "canary_address" in condition.hint


async def test_an_address_in_use_is_refused_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = CanaryPort(f"127.0.0.1:{used.getsockname()[1]}", "")
        with pytest.raises(Permanent, match="cannot listen") as raised:
            async with port.listening():
                raise AssertionError("it listens twice")
    assert "canary_address" in raised.value.hint
