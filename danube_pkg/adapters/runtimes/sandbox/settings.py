"""What the sandbox runtime is told when it is made."""

from pathlib import Path

from danube_pkg.adapters.programs import CoordinatorProgram
from danube_pkg.kit.records import Record


class SandboxSettings(Record):
    """data_dir: pods live in `pods/` below it. grpc_directory: holds the server's socket; mounted into coordinators only.
    supervisor, namespaces: the static programs danube-step and danube-ns. python_prefix: the Python that runs Danube.
    extra_host_paths: what `danube.toml` adds to the image `host`. workspace_check_seconds: between two looks at the sizes of
    pods, where the file system has no quota. heartbeat_seconds: between two heartbeats of a supervisor whose step prints
    nothing."""

    data_dir: Path
    grpc_directory: Path
    supervisor: Path
    namespaces: Path
    program: CoordinatorProgram
    python_prefix: Path
    extra_host_paths: tuple[Path, ...] = ()
    workspace_check_seconds: float = 5.0
    heartbeat_seconds: float = 2.0
