"""A plain client of a Kubernetes API server, for tests that see each byte of its protocol."""

import asyncio
import base64
import json
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Json = dict[str, Any]

SECONDS = 20.0
"""The bound for anything that a test waits for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. document: its JSON."""

    status: int
    document: Json
    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        return str(self.document.get("message", ""))


@dataclass(slots=True)
class ExecResult:
    """What an exec gave. close_code: of the WebSocket, 1006 without a close frame."""

    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    status: Json = field(default_factory=dict)
    close_code: int | None = None
    protocol: str | None = None

    @property
    def exit_code(self) -> int:
        if self.status["status"] == "Success":
            return 0
        return int(self.status["details"]["causes"][0]["message"])


class KubernetesClient:
    """Requests to one server. Use `open_client`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self.session = session
        self.url = url
        self.headers = headers

    async def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str
    ) -> Answer:
        """One request. body: sent as JSON."""
        data = json.dumps(body) if body is not None else None
        headers = {**self.headers, "Content-Type": content_type}
        async with self.session.request(method, self.url + path, data=data, params=query, headers=headers) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, **query)

    async def create(self, path: str, body: Json, **query: str) -> Answer:
        return await self.call("POST", path, body, **query)

    async def patch(self, path: str, body: Any, kind: str = "strategic-merge", **query: str) -> Answer:
        return await self.call("PATCH", path, body, content_type=f"application/{kind}-patch+json", **query)

    async def delete(self, path: str, body: Json | None = None) -> Answer:
        return await self.call("DELETE", path, body)

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator[AsyncIterator[Json]]:
        """The events of a watch."""
        query = {"watch": "true", **query}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(self.url + path, params=query, headers=self.headers, timeout=timeout) as response:
            assert response.status == 200, await response.text()

            async def events() -> AsyncIterator[Json]:
                async for line in response.content:
                    yield json.loads(line)

            yield events()

    async def exec(
        self,
        path: str,
        command: Sequence[str],
        *,
        container: str,
        given: bytes | None = None,
        protocols: Sequence[str] = ("v5.channel.k8s.io", "v4.channel.k8s.io"),
    ) -> ExecResult:
        """Run a program to its end. given: its standard input, which is closed behind it (with v5)."""
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in command]
        if given is not None:
            query.append(("stdin", "true"))
        found = ExecResult()
        async with self.session.ws_connect(
            f"{self.url}{path}/exec", params=query, headers=self.headers, protocols=protocols, max_msg_size=0
        ) as socket:
            found.protocol = socket.protocol
            giving = asyncio.create_task(_give(socket, given, found.protocol), name="exec-give")
            async with asyncio.timeout(SECONDS):
                await _take(socket, found)
            giving.cancel()
            found.close_code = socket.close_code
        return found

    async def wait_pod(self, path: str, condition: str, predicate: Any, seconds: float = SECONDS) -> Json:
        """The pod as it is when the predicate holds, seen on a watch."""
        namespace, _, name = path.rpartition("/")
        async with (
            asyncio.timeout(seconds),
            self.watch(namespace, fieldSelector=f"metadata.name={name}") as events,
        ):
            async for event in events:
                if event["type"] in ("ADDED", "MODIFIED") and predicate(event["object"]):
                    found: Json = event["object"]
                    return found
        raise AssertionError(f"the watch ended before: {condition}")

    async def wait_gone(self, path: str) -> None:
        """Returns when the object does not exist."""
        namespace, _, name = path.rpartition("/")
        async with (
            asyncio.timeout(SECONDS),
            self.watch(namespace, fieldSelector=f"metadata.name={name}", resourceVersion="0") as events,
        ):
            if (await self.get(path)).status == 404:
                return
            async for event in events:
                if event["type"] == "DELETED":
                    return


async def _give(socket: aiohttp.ClientWebSocketResponse, given: bytes | None, protocol: str | None) -> None:
    if given is None:
        return
    for at in range(0, len(given), 1 << 16):
        await socket.send_bytes(b"\0" + given[at : at + (1 << 16)])
    if protocol == "v5.channel.k8s.io":
        await socket.send_bytes(b"\xff\0")


async def _take(socket: aiohttp.ClientWebSocketResponse, found: ExecResult) -> None:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == 1:
            found.output.extend(data)
        elif channel == 2:
            found.errors.extend(data)
        elif channel == 3:
            found.status = json.loads(data)


@asynccontextmanager
async def open_client(kubeconfig: Path) -> AsyncIterator[KubernetesClient]:
    """A client by the current context of a kubeconfig: a token or a client certificate, files or embedded."""
    config = yaml.safe_load(kubeconfig.read_text())
    named = {
        key: {one["name"]: one[kind] for one in config[key]}
        for key, kind in (("clusters", "cluster"), ("users", "user"), ("contexts", "context"))
    }
    context = named["contexts"][config["current-context"]]
    cluster, user = named["clusters"][context["cluster"]], named["users"][context["user"]]
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    secure = _tls(cluster, user) if cluster["server"].startswith("https") else None
    connector = aiohttp.TCPConnector(ssl=secure) if secure is not None else aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector) as session:
        yield KubernetesClient(session, cluster["server"].rstrip("/"), headers)


def _tls(cluster: Json, user: Json) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    context = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(data).decode() if data else None
    )
    certificate, key = (_file(user, name) for name in ("client-certificate", "client-key"))
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def _file(user: Json, name: str) -> str:
    """The path of a certificate or key, which may be embedded."""
    if f"{name}-data" not in user:
        return str(user.get(name, ""))
    descriptor, path = tempfile.mkstemp()
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(base64.b64decode(user[f"{name}-data"]))
    return path
