"""Connections whose address says for whom they are."""

import asyncio
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import pytest

from danube_pkg.kit.named_peers import connected_as, peer_name


async def test_a_connection_has_the_name_and_each_has_an_address_of_its_own(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def accept(reader: StreamReader, writer: StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        writer.write(await reader.readexactly(2))
        writer.close()

    async with await asyncio.start_unix_server(accept, tmp_path / "s"):
        for _ in range(2):
            async with connected_as("fd00::1", str(tmp_path / "s")) as (reader, writer):
                writer.write(b"hi")
                assert await reader.read() == b"hi"
    assert len(set(seen)) == 2
    assert {peer_name(f"unix-abstract:{one[1:].decode()}") for one in seen} == {"fd00::1"}


async def test_where_nothing_listens_no_connection_is_left(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with connected_as("name", str(tmp_path / "s")):
            raise AssertionError("it is connected")


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("unix-abstract:danube-peer/10.1.2.3/7-1", "10.1.2.3"),
        ("unix-abstract:danube-peer%2Ffd00%3A%3A1%2F7-2", "fd00::1"),
        ("unix:", None),
        ("ipv4:10.1.2.3:4", None),
    ],
)
def test_the_name_is_in_what_grpc_calls_the_peer(peer: str, name: str | None) -> None:
    assert peer_name(peer) == name
