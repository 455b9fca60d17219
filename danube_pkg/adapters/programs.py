"""Danube's own programs on this machine: the static ones, and the coordinator's code with the few packages that it needs.

A container sees of Danube's installation only what is listed here, never the whole of it.
"""

import importlib.util
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import danube_pkg
from danube_pkg.core.errors import Defect, HostLacks
from danube_pkg.kit.records import Record


class CoordinatorProgram(Record):
    """The coordinator's code as read-only mounts, (source on the host, place in the container), and its environment."""

    mounts: tuple[tuple[Path, str], ...]
    environment: Mapping[str, str]


PROGRAM_PLACE = "/.danube/program"
"""Where the coordinator's code lies in its container."""


_PACKAGES = ("danube", "grpc", "google", "typing_extensions")
"""The SDK, and what grpc and its messages import."""


_OWN_PARTS = ("__init__.py", "pod", "kit")


def find_program(name: str) -> Path:
    """A static program, beside an installed package or in a checkout's build directory. Raises HostLacks."""
    package = Path(danube_pkg.__file__).absolute().parent
    places = [package / "bin" / platform.machine(), package.parent / "build" / "bin" / platform.machine()]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise HostLacks(
        "program-missing",
        f"the program {name} for {platform.machine()} is not there",
        cause=f"looked in {' and '.join(map(str, places))}",
        hint="make setup",
    )


def coordinator_program() -> CoordinatorProgram:
    """The coordinator's code, and where its container finds its server and its token."""
    package = Path(danube_pkg.__file__).absolute().parent
    mounts = [(package / part, f"{PROGRAM_PLACE}/danube_pkg/{part}") for part in _OWN_PARTS]
    for name in _PACKAGES:
        mounts += [(path, f"{PROGRAM_PLACE}/{path.name}") for path in _places_of(name)]
    environment = {
        "DANUBE_SERVER": "unix:/.danube/run/coordinator.sock",
        "DANUBE_TOKEN_FILE": "/.danube/token",
        "DANUBE_WORKSPACE": "/workspace",
        "PYTHONPATH": PROGRAM_PLACE,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return CoordinatorProgram(tuple(mounts), environment)


def coordinator_command() -> str:
    """What the coordinator's container runs: by the very interpreter that runs the server, not the first one on a PATH."""
    interpreter = Path(sys.executable).resolve()
    return f"exec {shlex.quote(str(interpreter))} -m danube_pkg.pod.coordinator"


def _places_of(name: str) -> Sequence[Path]:
    """A package's directories, or a module's file."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        return [Path(place).absolute() for place in spec.submodule_search_locations][:1]
    if spec is not None and spec.origin is not None:
        return [Path(spec.origin).absolute()]
    raise Defect("package-missing", f"the package {name} is not installed")
