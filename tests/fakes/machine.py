"""A fake machine: pods, their containers, the steps in them and what they printed. It outlives every server.

    machine = FakeMachine()
    machine.commands["make test"] = plays(Print(b"ok\\n"))
    runtime = FakeRuntime(machine)          # what a server makes when it starts

A command without a script is not found: exit code 127, as in a shell.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.pods import (
    HOST_IMAGE,
    SUPERVISOR,
    Container,
    ContainerEnded,
    ContainerRole,
    PodEvent,
    PodSpec,
)
from tests.fakes.connections import PIPE_BYTES, Connection
from tests.fakes.processes import Behaviour, Command, Process
from tests.fakes.supervisor import Bounds, FakeStep, FakeSupervisor

REMOVED = "its container ended: something outside Danube killed it"

Attempt = tuple[str, int]
"""A step's id and the number of its attempt."""


@dataclass(slots=True)
class FakePod:
    """lives: its namespaces are held; without them it gets no new container and waits to be deleted. workspace_full: as
    the runtime reports it. is_closed: its network is."""

    spec: PodSpec
    containers: list["FakeContainer"] = field(default_factory=list)
    lives: bool = True
    workspace_full: str = ""
    is_closed: bool = False


class FakeContainer:
    """One container instance; `ProcessContainer` for what runs in it."""

    def __init__(self, machine: "FakeMachine", pod: FakePod, container: Container, isolation: int) -> None:
        self._machine = machine
        self._pod = pod
        self.container = container
        self.isolation = isolation
        self.lives = True
        self.end_event: ContainerEnded | None = None
        self.memory_kills = 0
        self._programs: list[Command] = []
        self._connections: list[Connection] = []
        self.supervisor = FakeSupervisor(
            self, machine.bounds, machine.find, machine.note_start, machine.note_output, machine.defects.append
        )

    # --- ProcessContainer

    @property
    def pod_id(self) -> str:
        return self.container.pod_id

    @property
    def job_id(self) -> str:
        return self._pod.spec.job_id

    @property
    def token(self) -> str:
        return self._pod.spec.token

    def kill_for_memory(self) -> None:
        self.memory_kills += 1

    def end(self, reason: Reason, message: str) -> None:
        """PID 1 ends, and with it everything in the container."""
        if not self.lives:
            return
        if reason is Reason.OUT_OF_MEMORY:
            self.memory_kills += 1
        self.end_event = ContainerEnded(self.container, self.job_id, reason, message)
        self.vanish()
        self._machine.publish(self.end_event)

    def remove_pod(self) -> None:
        self._machine.remove_pod(self.pod_id)

    def vanish(self) -> None:
        """End without an event."""
        self.lives = False
        self.supervisor.drop()
        for program in self._programs:
            program.drop()
        for connection in self._connections:
            connection.lose()

    # --- exec

    def exec(self, argv: Sequence[str], connection: Connection) -> None:
        self._connections.append(connection)
        match list(argv):
            case [word, "run" | "kill" | "freeze" | "thaw" as verb] if word == SUPERVISOR:
                self.supervisor.connect(connection, verb)
            case [word, "pack" | "unpack" | "capture" | "apply" | "shell", *_] if word == SUPERVISOR:
                self._run(" ".join(argv), connection)
            case [word, *_] if word == SUPERVISOR:
                connection.finish(2)
            case ["/bin/sh", "-c", text]:
                self._run(text, connection)
            case _:
                self._run(" ".join(argv), connection)

    def _run(self, text: str, connection: Connection) -> None:
        pipes = _Pipes(connection)
        process = Process(text, 1, {}, self, pipes.write, pipes.read)

        def ended(code: int | None, number: int | None) -> None:
            connection.finish(128 + number if number is not None else code or 0)

        self._programs.append(Command(self._machine.find(text), process, ended, self._machine.defects.append))


class _Pipes:
    """Standard input and output of a program that is not a step."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._input = bytearray()
        self._input_ended = False
        self._changed = asyncio.Event()
        connection.on_input = self._take
        connection.on_room = self._changed.set
        connection.on_closed = self._changed.set

    def _take(self, data: bytes) -> None:
        self._input += data
        self._input_ended |= not data
        self._connection.hold_input(len(self._input) >= PIPE_BYTES)
        self._changed.set()

    async def read(self) -> bytes:
        while not self._input and not self._input_ended:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._input)
        self._input.clear()
        self._connection.hold_input(False)
        return data

    async def write(self, data: bytes) -> None:
        while data and self._connection.is_read:
            part, data = data[: self._connection.room], data[self._connection.room :]
            self._connection.put(part)
            if data:
                self._changed.clear()
                await self._changed.wait()


class FakeMachine:
    """Everything that survives the death of a server, and the truth that tests compare a server's records with."""

    def __init__(self, *, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.images = {HOST_IMAGE}
        self.commands: dict[str, Behaviour] = {}
        self.pods: dict[str, FakePod] = {}
        self.listeners: list[Callable[[PodEvent], None]] = []
        self.starts: Counter[Attempt] = Counter()
        self.printed: dict[Attempt, bytearray] = {}
        self.steps: dict[Attempt, FakeStep] = {}
        self.defects: list[BaseException] = []
        self.keeps_networks_open = False
        """Whether it is one whose pods keep their network until they end."""
        self.signed: list[bytes] = []
        """What servers had signed, in order, whether or not they lived to store the signature."""

    # --- what happens on it

    def find(self, text: str) -> Behaviour:
        return self.commands.get(text) or _not_found

    def note_start(self, step: FakeStep) -> None:
        attempt = step.request.step_id, step.request.attempt
        self.starts[attempt] += 1
        self.steps[attempt] = step
        self.printed.setdefault(attempt, bytearray())

    def note_output(self, step: FakeStep, data: bytes) -> None:
        self.printed[step.request.step_id, step.request.attempt] += data

    def publish(self, event: PodEvent) -> None:
        for listener in list(self.listeners):
            listener(event)

    # --- what a runtime does

    def begin_pod(self, spec: PodSpec) -> FakePod:
        """A pod without a container: what an interrupted creation leaves."""
        return self.pods.setdefault(spec.pod_id, FakePod(spec))

    def add_container(self, pod: FakePod, role: ContainerRole, image: str, isolation: int = 0) -> Container:
        number = 0
        if role is ContainerRole.WORKER:
            number = max((known.container.number for known in pod.containers), default=0) + 1
        container = Container(pod.spec.pod_id, number, role, image)
        pod.containers.append(FakeContainer(self, pod, container, isolation))
        return container

    def delete_pod(self, pod_id: str) -> None:
        pod = self.pods.pop(pod_id, None)
        for container in pod.containers if pod is not None else ():
            container.vanish()

    def living(self, pod_id: str) -> list[FakeContainer]:
        pod = self.pods.get(pod_id)
        return [known for known in pod.containers if known.lives] if pod is not None else []

    def find_container(self, container: Container) -> FakeContainer | None:
        """The running instance with that number."""
        return next(
            (known for known in self.living(container.pod_id) if known.container.number == container.number), None
        )

    # --- what a test does to it

    def end_container(self, container: Container, reason: Reason = Reason.POD_LOST, message: str = REMOVED) -> None:
        found = self.find_container(container)
        assert found is not None, f"{container} does not live"
        found.end(reason, message)

    def remove_pod(self, pod_id: str) -> None:
        """Every process of the pod is killed, without the server's knowledge."""
        self.pods[pod_id].lives = False
        for container in self.living(pod_id):
            container.end(Reason.POD_LOST, REMOVED)


async def _not_found(process: Process) -> int:
    await process.write(f"/bin/sh: 1: {process.command}: not found\n".encode())
    return 127
