"""Isolated legs of a matrix: a network and a workspace of their own in a pod that runs.

Each leg has a process that holds its namespaces, as the pod has one. Everything else is the pod's: the control group,
the user ids, the disk. So the limits of the pod hold for all legs together, and they end with it.

The workspace is a copy, made by a program in a container of the pod: files of other users keep their owners where the
pod's user may give them, a link is never followed by the server, and where the file system has reflinks `cp` shares the
blocks. Why it is not an overlay: docs/decisions/044.
"""

from danube_pkg.adapters.runtimes.sandbox.containers import COPY_SOURCE, SandboxContainers
from danube_pkg.adapters.runtimes.sandbox.exec_stream import open_exec
from danube_pkg.adapters.runtimes.sandbox.pod_egress import PodEgress
from danube_pkg.adapters.runtimes.sandbox.pod_files import LegRecord, PodDirectory, PodRecord
from danube_pkg.adapters.runtimes.sandbox.pods import SandboxPods
from danube_pkg.core.errors import Permanent
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import Container
from danube_pkg.kit.records import replace

MAX_SHOWN_BYTES = 500
"""How much is kept of what `cp` printed; its first line names the file."""


class IsolatedLegs:
    """Opens legs in pods. The caller holds the pod's lock."""

    def __init__(self, pods: SandboxPods, containers: SandboxContainers, egress: PodEgress) -> None:
        self._pods = pods
        self._containers = containers
        self._egress = egress

    async def open(self, pod: PodDirectory, record: PodRecord, number: int) -> PodRecord:
        """The pod as the containers of that leg have it, made on first use. Raises Permanent, Unavailable."""
        known = next((leg for leg in pod.leg_records() if leg.number == number), None)
        if known is not None and known.is_complete:
            if not known.holder.lives():
                what = f"the network of leg {number} was ended by something outside Danube"
                raise Permanent(Reason.POD_LOST, what, hint="danube rerun JOB")
            return replace(record, holder=known.holder)
        await self._pods.remove_leg(pod, known, number)
        leg = await self._pods.hold_leg(pod, record, number)
        await self._egress.open_leg(leg)
        await self._copy_workspace(pod, leg, number)
        pod.write_leg(LegRecord(number, leg.holder, is_complete=True))
        return leg

    async def _copy_workspace(self, pod: PodDirectory, leg: PodRecord, number: int) -> None:
        container = await self._containers.create_copier(pod, leg, number)
        try:
            code, printed = await self._run_copy(pod, container)
        finally:
            await self._pods.end_container(container)
        if code:
            lines = printed.decode(errors="replace").splitlines()
            raise Permanent(
                Reason.POD_FAILED,
                f"the workspace could not be copied for leg {number} of the matrix",
                cause=lines[0] if lines else f"cp ended with exit code {code}",
                hint="end the steps that change the workspace before the matrix begins, and let its user read all files",
            )

    async def _run_copy(self, pod: PodDirectory, container: Container) -> tuple[int, bytes]:
        """The exit code, and the beginning of what was printed."""
        command = f"exec cp -a {COPY_SOURCE}/. /workspace/ 2>&1"
        stream = open_exec(container, pod.container(container.number), ("/bin/sh", "-c", command))
        try:
            await stream.close_input()
            printed = b""
            while data := await stream.read():
                printed = (printed + data)[:MAX_SHOWN_BYTES]
            return await stream.wait(), printed
        finally:
            await stream.close()
