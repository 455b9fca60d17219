"""The server's side of egress proxies: starts the one of this version, hands pods over, detects when one has ended.

A proxy listens on `run/egress/<generation>.sock`. The generation is the program's version: an upgraded server starts
its own proxy for new pods, while the old one continues until its last pod has ended. The server creates the socket and
passes it to the proxy, so it can send requests before the proxy has started.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import danube_pkg
from danube_pkg.adapters.egress.control import masks_file
from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.network_listener import NetworkListeners
from danube_pkg.adapters.egress.proxy_connection import ProxyConnection
from danube_pkg.core.egress.policy import with_registries
from danube_pkg.core.egress.ports import NetworkPod
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.runtimes.pods import PodSockets
from danube_pkg.kit.readiness import wait_readable
from danube_pkg.kit.records import Record, field
from danube_pkg.kit.tasks import TaskOwner, until

PROBE_SECONDS = 5.0
"""A health check must not take longer; a proxy that is silent for longer is replaced, which is reported too."""

SETTLE_SECONDS = 1.0
"""Timeout at a step's end; attempts that are recorded later are not assigned to that step."""

END_SECONDS = 10.0
"""Until a killed process is gone; more only where it is stuck in the kernel."""

_log = logging.getLogger("danube.egress")


def proxy_command() -> Sequence[str]:
    """The command of the proxy. -P: the current directory is not searched for modules."""
    return (sys.executable, "-P", "-m", "danube_pkg.adapters.egress.program")


def no_registries() -> Collection[tuple[str, int]]:
    """No configured registries."""
    return ()


def no_groups() -> Sequence[Path]:
    """No control groups for the proxy."""
    return ()


class EgressSettings(Record):
    """How proxies are started.

    directory: of the control sockets and the proxies' log. launcher: the command of danube-ns. user: the proxy's user
    id, 0 for the server's. cgroups: returns the `cgroup.procs` files that the proxy joins, outside of the server's
    unit. hosts: IP address by host name, in place of the resolver's. registries: host and port of the configured ones,
    which an allowlist that names one allows as they are. network_address: `HOST:PORT` on which pods of a network are
    served, "" for none. translated: networks from which a pod's connections may come beside its own addresses.
    """

    directory: Path
    launcher: Sequence[str]
    generation: str = danube_pkg.__version__
    command: Sequence[str] = field(default_factory=proxy_command)
    user: int = 0
    cgroups: Callable[[], Sequence[Path]] = no_groups
    hosts: Mapping[str, str] = field(default_factory=dict)
    registries: Callable[[], Collection[tuple[str, int]]] = no_registries
    network_address: str = ""
    translated: tuple[str, ...] = ()
    silence_seconds: float = 20.0
    """A proxy that does not answer for so long is killed and replaced. Its connections are lost, so this is longer than
    a machine under full load needs to give it a moment."""


async def no_secret_forms(job_id: str) -> Collection[str]:
    """No masks, for jobs without secrets."""
    return ()


class EgressProxyPool:
    """`core.egress.ports.EgressProxies`.

    forms_of: the `core.egress.host_masks.host_forms` of all values that a job can have read; called for each hand-over.
    """

    def __init__(
        self,
        settings: EgressSettings,
        ledgers: FileLedgers,
        forms_of: Callable[[str], Awaitable[Collection[str]]] = no_secret_forms,
    ) -> None:
        self._settings = settings
        self._ledgers = ledgers
        self._forms_of = forms_of
        self._proxies: dict[str, ProxyConnection] = {}
        self._network = NetworkListeners(settings.network_address)
        self._lost = asyncio.Event()
        self._owner = TaskOwner(self._failed)
        self._starting = asyncio.Lock()
        self._masking = asyncio.Lock()
        """Held while masks are read and sent, so that older masks never replace newer ones."""
        settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task-failed", exc_info=error, extra={"fields": {"task": name}})

    async def serve(self, job_id: str, allowlist: Sequence[str], sockets: PodSockets, *, learn: bool) -> None:
        """Hands a pod over; it is served as soon as the proxy has received it. Raises Unavailable, Permanent."""
        message = self._message("serve", job_id, allowlist, learn=learn)
        async with self._masking:
            with _closing(self._ledgers.open(job_id)) as ledger, _closing(await self._masks_file(job_id)) as masks:
                proxy = await self._current()
                proxy.send(message, (sockets.listener, sockets.names, sockets.holder, ledger, masks, *sockets.counters))
                proxy.jobs.add(job_id)

    async def join(self, job_id: str, sockets: PodSockets) -> None:
        self._find_earlier_proxies()
        await self.served()
        proxy = next((one for one in self._proxies.values() if job_id in one.jobs), None)
        if proxy is None:
            raise Unavailable(
                "egress-not-opened", f"the egress proxy of job {job_id} has ended; another one is started"
            )
        passed = (sockets.listener, sockets.names, sockets.holder, *sockets.counters)
        answer = await proxy.request({"verb": "join", "job": job_id}, passed)
        if "unknown" in answer:
            what = "the egress proxy of this job is of an older version, which serves no legs of a matrix"
            raise Permanent("egress-not-opened", what, hint="run the job again: danube rerun JOB")
        if not answer["joined"]:
            raise Unavailable("egress-not-opened", f"the egress proxy does not serve job {job_id} any more")

    async def withdraw(self, job_id: str) -> None:
        self._find_earlier_proxies()
        for proxy in list(self._proxies.values()):
            try:
                answer = await proxy.request({"verb": "withdraw", "job": job_id})
            except Unavailable:
                if not proxy.has_ended:
                    raise
                continue
            if "unknown" in answer and job_id in proxy.jobs:
                what = "the egress proxy of this job is of an older version, which serves a pod until its end"
                raise Permanent("network-not-closed", what, hint="run the job again: danube rerun JOB")
            proxy.jobs.discard(job_id)

    async def admit(self, pod: NetworkPod) -> None:
        sources = [*pod.addresses, *self._settings.translated]
        message = self._message("admit", pod.job_id, pod.allowlist, learn=pod.learn)
        async with self._masking:
            with (
                _closing(self._ledgers.open(pod.job_id)) as ledger,
                _closing(await self._masks_file(pod.job_id)) as masks,
            ):
                proxy = await self._current()
                credential = {"password": pod.password, "sources": sources}
                await proxy.request({**message, **credential}, (ledger, masks))
                proxy.jobs.add(pod.job_id)

    async def release(self, job_id: str) -> None:
        self._find_earlier_proxies()
        for proxy in list(self._proxies.values()):
            proxy.jobs.discard(job_id)
            try:
                await proxy.request({"verb": "release", "job": job_id})
            except Unavailable:
                if not proxy.has_ended:
                    raise

    async def listen(self) -> None:
        self._find_earlier_proxies()
        current = await self._current()
        await self._network.pass_to(current, [one for one in self._proxies.values() if one is not current])

    @property
    def network_address(self) -> str:
        """The address on which pods of a network are served; "" before `listen`."""
        return self._network.address

    def _message(self, verb: str, job_id: str, allowlist: Sequence[str], *, learn: bool) -> Mapping[str, Any]:
        return {
            "verb": verb,
            "job": job_id,
            "allowlist": with_registries(allowlist, self._settings.registries()),
            "learn": learn,
            "hosts": dict(self._settings.hosts),
        }

    async def mask(self, job_id: str) -> None:
        """Sends the masks to all proxies that may serve the pod. Raises Unavailable, Permanent.

        A proxy that ends meanwhile writes nothing more, and the next one gets the masks with the pod.
        """
        async with self._masking:
            self._find_earlier_proxies()
            with _closing(await self._masks_file(job_id)) as masks:
                for proxy in list(self._proxies.values()):
                    try:
                        await proxy.request({"verb": "mask", "job": job_id}, (masks,))
                    except Unavailable:
                        if not proxy.has_ended:
                            raise

    async def _masks_file(self, job_id: str) -> int:
        return masks_file(await self._forms_of(job_id))

    async def served(self) -> frozenset[str]:
        """The jobs whose pods are served by any proxy, including those of an earlier server; those on a network only by
        the one of this version, which gets their connections."""
        self._find_earlier_proxies()
        for generation, proxy in list(self._proxies.items()):
            with contextlib.suppress(Unavailable):  # it has ended; its pods need another one
                answer = await proxy.request({"verb": "pods"})
                elsewhere = answer.get("network", ()) if generation != self._settings.generation else ()
                proxy.jobs = set(answer["pods"]) - set(elsewhere)
        return frozenset(job_id for proxy in self._proxies.values() for job_id in proxy.jobs)

    async def wait_lost(self) -> None:
        """Returns when a proxy has ended since the last call."""
        await self._lost.wait()
        self._lost.clear()

    async def settle(self, job_id: str, step: int) -> None:
        """Records attempts that were only counted, as those of that step.

        A proxy that is still starting does it later, without being waited for.
        """
        for proxy in list(self._proxies.values()):
            if job_id in proxy.jobs:
                with contextlib.suppress(Unavailable):  # its counts are lost
                    answer = proxy.start_request({"verb": "settle", "job": job_id, "step": step})
                    if proxy.has_started:
                        await proxy.wait_response(answer, SETTLE_SECONDS)

    async def conditions(self) -> Sequence[Condition]:
        """Proxies that do not answer; none runs while no pod needs one."""
        silent = []
        for generation, proxy in list(self._proxies.items()):
            if proxy.has_ended:
                continue
            try:
                await proxy.wait_response(proxy.start_request({"verb": "pods"}), PROBE_SECONDS)
            except Unavailable as error:
                what = f"the egress proxy {generation} does not answer: {error}"
                hint = f"it is replaced after {self._settings.silence_seconds:.0f} s; see {self._settings.directory}/proxy.log"
                silent.append(Condition("egress-not-answering", what, hint))
        return silent

    async def close(self) -> None:
        """Disconnects from the proxies. Those with pods continue."""
        await self._owner.close()
        self._network.close()
        for proxy in self._proxies.values():
            proxy.close()

    # --- one process

    def _find_earlier_proxies(self) -> None:
        """Connects to the proxies of earlier servers."""
        for path in sorted(self._settings.directory.glob("*.sock")):
            if path.stem not in self._proxies and (connection := self._connect(path)) is not None:
                self._adopt(path.stem, connection)

    async def _current(self) -> ProxyConnection:
        """The proxy of this generation, started if there is none."""
        async with self._starting:
            generation = self._settings.generation
            if generation not in self._proxies:
                path = self._settings.directory / f"{generation}.sock"
                self._adopt(generation, self._connect(path) or await self._start(path))
            return self._proxies[generation]

    def _adopt(self, generation: str, connection: socket.socket) -> None:
        proxy = self._proxies[generation] = ProxyConnection(connection)
        self._owner.start(f"egress proxy {generation}", self._follow(generation, proxy))

    async def _follow(self, generation: str, proxy: ProxyConnection) -> None:
        await until(proxy.watch(self._settings.silence_seconds), proxy.read_responses(), name="egress proxy")
        if proxy.is_silent:
            await self._end(generation)
        if self._proxies.get(generation) is proxy:
            del self._proxies[generation]
        proxy.close()
        self._lost.set()

    async def _end(self, generation: str) -> None:
        """End a proxy that does not answer: stopped, or starved. Its pods are handed to the next one."""
        fields: dict[str, object] = {"generation": generation, "seconds": self._settings.silence_seconds}
        try:
            pid = int(self._pid_file(generation).read_text())
            with _closing(os.pidfd_open(pid)) as process:
                if b"danube_pkg" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    raise ProcessLookupError(f"process {pid} is another program")
                signal.pidfd_send_signal(process, signal.SIGKILL)
                async with asyncio.timeout(END_SECONDS):
                    await wait_readable(process)
        except (OSError, ValueError) as error:
            _log.error("egress-proxy-not-ended", extra={"fields": {**fields, "cause": str(error)}})
        else:
            cause = "it did not answer; the connections through it are lost"
            _log.warning("egress-proxy-replaced", extra={"fields": {**fields, "pid": pid, "cause": cause}})

    def _pid_file(self, generation: str) -> Path:
        return self._settings.directory / f"{generation}.pid"

    def _connect(self, path: Path) -> socket.socket | None:
        """A connection to the proxy at a path; None if there is none, and then the path is removed."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            with _short_name(path) as name:
                connection.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            path.unlink(missing_ok=True)
            return None
        except BlockingIOError:  # its queue is full
            connection.close()
            raise Unavailable("egress-proxy-busy", "the egress proxy accepts no more connections") from None
        return connection

    async def _start(self, path: Path) -> socket.socket:
        settings = self._settings
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            with _short_name(path) as name:
                listening.bind(name)
            path.chmod(0o600)
            listening.listen(16)
            groups = [word for file in settings.cgroups() for word in ("--cgroup", str(file))]
            pid_file = self._pid_file(settings.generation)
            pid_file.write_text("")
            with (settings.directory / "proxy.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *settings.launcher, "detach", *groups, "--pid", str(pid_file), "--", *settings.command,
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


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _short_name(path: Path) -> Any:
    """A short name for a path that may be longer than a unix socket address can be."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _environment() -> Mapping[str, str]:
    """The proxy's environment: the import path, and no variable of the server."""
    home = str(Path(danube_pkg.__file__).absolute().parents[1])
    return {"PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
