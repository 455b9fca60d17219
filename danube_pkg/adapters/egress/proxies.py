"""The server's side of the proxies: starts the one of this version, hands pods over, notices when one is gone.

A proxy listens on `run/egress/<generation>.sock`; the generation is the program's version, so that an upgraded server starts
a proxy of its own for new pods, while the old one goes on until its last pod has ended. The server makes the socket and gives
it to the proxy, so it can speak to it before it has begun.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import danube_pkg
from danube_pkg.adapters.egress.control import masks_file, receive_packet, send_packet
from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.core.errors import Unavailable
from danube_pkg.core.runtimes.pods import PodSockets
from danube_pkg.kit.readiness import wait_readable
from danube_pkg.kit.records import Record, field
from danube_pkg.kit.tasks import TaskOwner

ANSWER_SECONDS = 10.0
"""For a question to a proxy that has just been started on a busy machine; it is answered within microseconds otherwise."""

SETTLE_SECONDS = 1.0
"""A step's end waits for it: what is written down later is only not that step's."""

_log = logging.getLogger("danube.egress")


def proxy_command() -> Sequence[str]:
    """The proxy in this Python; -P: never a module from the directory that the server was started in."""
    return (sys.executable, "-P", "-m", "danube_pkg.adapters.egress.program")


def no_groups() -> Sequence[Path]:
    """No control groups for the proxy."""
    return ()


class EgressSettings(Record):
    """directory: of the control sockets and the proxies' log. launcher: danube-ns. user: whom the proxy runs as, 0 for the
    server's own. cgroups: gives the `cgroup.procs` files that the proxy joins, outside of the server's unit. hosts: names
    that have another address for pods than the machine's resolver says."""

    directory: Path
    launcher: Path
    generation: str = danube_pkg.__version__
    command: Sequence[str] = field(default_factory=proxy_command)
    user: int = 0
    cgroups: Callable[[], Sequence[Path]] = no_groups
    hosts: Mapping[str, str] = field(default_factory=dict)


async def no_forms(job_id: str) -> Collection[str]:
    """Of a job that has no secrets."""
    return ()


class EgressProxyPool:
    """`core.egress.ports.EgressProxies`. forms_of: what the names in a job's ledger must not show (`core.egress.host_masks.host_forms` of
    everything that the job can have read by now); asked again whenever a pod is handed over."""

    def __init__(
        self,
        settings: EgressSettings,
        ledgers: FileLedgers,
        forms_of: Callable[[str], Awaitable[Collection[str]]] = no_forms,
    ) -> None:
        self._settings = settings
        self._ledgers = ledgers
        self._forms_of = forms_of
        self._proxies: dict[str, _Proxy] = {}
        self._lost = asyncio.Event()
        self._owner = TaskOwner(self._failed)
        self._starting = asyncio.Lock()
        self._masking = asyncio.Lock()
        """Held from asking what to mask until it is told: what is told later never knows less."""
        settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        """Hand a pod over; it is served as soon as the proxy gets to it. Raises Unavailable, Permanent."""
        message = {
            "verb": "serve",
            "job": job_id,
            "allowlist": list(allowlist),
            "learn": learn,
            "hosts": dict(self._settings.hosts),
        }
        async with self._masking:
            with _closing(self._ledgers.open(job_id)) as ledger, _closing(await self._masks_file(job_id)) as masks:
                proxy = await self._current()
                proxy.tell(message, (sockets.listener, sockets.names, sockets.holder, ledger, masks, *sockets.counters))
                proxy.jobs.add(job_id)

    async def mask(self, job_id: str) -> None:
        """Tell whoever may serve the pod. A proxy that ends meanwhile writes nothing any more, and the next one is told when
        the pod is handed over. Raises Unavailable, Permanent."""
        async with self._masking:
            self._find_proxies()
            with _closing(await self._masks_file(job_id)) as masks:
                for proxy in list(self._proxies.values()):
                    try:
                        await proxy.ask({"verb": "mask", "job": job_id}, (masks,))
                    except Unavailable:
                        if not proxy.is_gone:
                            raise

    async def _masks_file(self, job_id: str) -> int:
        return masks_file(await self._forms_of(job_id))

    async def served(self) -> frozenset[str]:
        """The jobs whose pods are served by some proxy, also one that an earlier server has started."""
        self._find_proxies()
        for proxy in list(self._proxies.values()):
            with contextlib.suppress(Unavailable):  # it has just ended, and its pods need another one
                proxy.jobs = set((await proxy.ask({"verb": "pods"}))["pods"])
        return frozenset(job_id for proxy in self._proxies.values() for job_id in proxy.jobs)

    async def wait_lost(self) -> None:
        """Until a proxy has ended since the last call, of itself or not."""
        await self._lost.wait()
        self._lost.clear()

    async def settle(self, job_id: str, step: int) -> None:
        """What the kernel has counted of a job since the last time goes into the ledger as that step's. A proxy that is
        still starting does it when it has started: nobody waits for that."""
        for proxy in list(self._proxies.values()):
            if job_id in proxy.jobs:
                with contextlib.suppress(Unavailable):  # what it counted is lost with it
                    answer = proxy.begin_to_ask({"verb": "settle", "job": job_id, "step": step})
                    if proxy.has_begun:
                        await proxy.wait_answer(answer, SETTLE_SECONDS)

    async def close(self) -> None:
        """Let go of the proxies. Those that have pods go on."""
        await self._owner.close()
        for proxy in self._proxies.values():
            proxy.close()

    # --- one process

    def _find_proxies(self) -> None:
        """Those that an earlier server has started."""
        for path in sorted(self._settings.directory.glob("*.sock")):
            if path.stem not in self._proxies and (connection := self._connect(path)) is not None:
                self._adopt(path.stem, connection)

    async def _current(self) -> "_Proxy":
        """The proxy of this generation, started if there is none."""
        async with self._starting:
            generation = self._settings.generation
            if generation not in self._proxies:
                path = self._settings.directory / f"{generation}.sock"
                self._adopt(generation, self._connect(path) or await self._start(path))
            return self._proxies[generation]

    def _adopt(self, generation: str, connection: socket.socket) -> None:
        proxy = self._proxies[generation] = _Proxy(connection)
        self._owner.start(f"egress proxy {generation}", self._follow(generation, proxy))

    async def _follow(self, generation: str, proxy: "_Proxy") -> None:
        with contextlib.suppress(Unavailable):  # gone already, which reading finds out
            proxy.begin_to_ask({"verb": "pods"})  # the answer says that it has begun
        await proxy.read_answers()
        if self._proxies.get(generation) is proxy:
            del self._proxies[generation]
        proxy.close()
        self._lost.set()

    def _connect(self, path: Path) -> socket.socket | None:
        """None when nobody listens; the path is then free."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with _short_name(path) as name:
                connection.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            path.unlink(missing_ok=True)
            return None
        except BlockingIOError:  # its queue is full: it will read it some day
            connection.close()
            raise Unavailable("egress-proxy-busy", "the egress proxy takes no more connections") from None
        return connection

    async def _start(self, path: Path) -> socket.socket:
        settings = self._settings
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            with _short_name(path) as name:
                listening.bind(name)
            path.chmod(0o600)
            listening.listen(16)
            groups = [word for file in settings.cgroups() for word in ("--cgroup", str(file))]
            with (settings.directory / "proxy.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    str(settings.launcher), "detach", *groups, "--", *settings.command,
                    str(listening.fileno()), str(settings.user),
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                    env=_environment(), cwd="/", pass_fds=(listening.fileno(),),
                )  # fmt: skip
                await process.wait()
        connection = self._connect(path)
        if connection is None:
            log_path = settings.directory / "proxy.log"
            raise Unavailable("egress-proxy-failed", "the egress proxy could not be started", hint=f"see {log_path}")
        return connection


class _Proxy:
    """A connection to one of them. Answers come in the order of the questions."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._asked: deque[asyncio.Future[Mapping[str, Any]]] = deque()
        self.is_gone = False
        self.has_begun = False
        self.jobs: set[str] = set()

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        try:
            send_packet(self._connection, message, descriptors)
        except BlockingIOError as error:
            raise Unavailable("egress-proxy-slow", "the egress proxy takes nothing more", cause=str(error)) from error
        except OSError as error:
            self.is_gone = True
            raise Unavailable("egress-proxy-lost", "the egress proxy is gone", cause=str(error)) from error

    async def ask(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Mapping[str, Any]:
        """Raises Unavailable when it does not answer."""
        return await self.wait_answer(self.begin_to_ask(message, descriptors), ANSWER_SECONDS)

    def begin_to_ask(
        self, message: Mapping[str, Any], descriptors: Sequence[int] = ()
    ) -> "asyncio.Future[Mapping[str, Any]]":
        """The answer may be waited for, or not. Raises Unavailable when the proxy is gone."""
        if self.is_gone:
            raise Unavailable("egress-proxy-lost", "the egress proxy is gone")
        self.tell(message, descriptors)
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        return answer

    async def wait_answer(self, answer: "asyncio.Future[Mapping[str, Any]]", seconds: float) -> Mapping[str, Any]:
        """Raises Unavailable when it does not come."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise Unavailable("egress-proxy-slow", "the egress proxy does not answer") from error

    async def read_answers(self) -> None:
        """Returns when the proxy has ended."""
        try:
            while True:
                try:
                    packet = receive_packet(self._connection)
                except BlockingIOError:
                    await wait_readable(self._connection.fileno())
                    continue
                if packet is None:
                    return
                self.has_begun = True
                answer = self._asked.popleft()
                if not answer.done():
                    answer.set_result(packet[0])
        except OSError as error:
            _log.info("egress-proxy-lost", extra={"fields": {"cause": str(error)}})
        finally:
            self.is_gone = True
            for answer in self._asked:
                if not answer.done():
                    answer.set_exception(Unavailable("egress-proxy-lost", "the egress proxy is gone"))
                    answer.exception()  # nobody may wait for it any more

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _short_name(path: Path) -> Any:
    """A unix address of a path that may be longer than an address can be."""
    place = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{place}/{path.name}"
    finally:
        os.close(place)


def _environment() -> Mapping[str, str]:
    """What Python needs to find this very program; nothing that the server was given."""
    home = str(Path(danube_pkg.__file__).absolute().parents[1])
    return {"PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
