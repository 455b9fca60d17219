"""The settings of the sandbox runtime."""

from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.kit.records import Record


class SandboxSettings(Record):
    """How the sandbox works on one data directory."""

    data_dir: Path
    """`pods/` below it has a directory for each pod."""
    grpc_directory: Path
    """Has the socket of the coordinators' server, to which each pod's own leads."""
    supervisor: Path
    """The static program danube-step."""
    namespaces: Path
    """The static program danube-ns."""
    program: CoordinatorProgram
    python_prefix: Path
    """The Python that runs Danube."""
    extra_host_paths: tuple[Path, ...] = ()
    """What `danube.toml` adds to the image `host`."""
    host_image: bool = True
    """Whether workers may have the image `host`. Coordinators have it anyway: it holds their Python."""
    workspace_check_seconds: float = 1.0
    """Between two checks of a pod's disk; a full one ends the pod."""
    heartbeat_seconds: float = 2.0
    """Between two heartbeats of a supervisor whose step prints nothing."""
    pod_launcher: Path | None = None
    """The socket of the unit in which pods start; None where they start from the server itself."""

    @property
    def lasting_command(self) -> tuple[str, ...]:
        """danube-ns for what outlives the server: it starts in the unit of pods, where the machine has one."""
        program = str(self.namespaces)
        return (program,) if self.pod_launcher is None else (program, "launch", str(self.pod_launcher), "--", program)
