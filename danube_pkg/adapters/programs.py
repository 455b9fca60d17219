"""Danube's own programs on this machine: the static ones, and the coordinator's code with the packages that it needs.

Containers see only what is listed here of Danube's installation.
"""

import importlib.util
import platform
import shlex
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import danube_pkg
from danube_pkg.core.errors import Defect, HostLacks
from danube_pkg.core.images.coordinator import CoordinatorFiles
from danube_pkg.kit.records import Record


class CoordinatorProgram(Record):
    """The coordinator's code as read-only mounts, (path on the host, path in the container), and its environment."""

    mounts: tuple[tuple[Path, str], ...]
    environment: Mapping[str, str]


PROGRAM_PATH = "/.danube/program"
"""The coordinator's code in its container."""

_PACKAGES = ("danube", "grpc", "google", "typing_extensions")
"""The SDK, and what grpc and its messages import."""

_OWN_PARTS = ("__init__.py", "pod", "kit")


def find_program(name: str) -> Path:
    """The path of a static program, in an installed package or in a checkout's build directory. Raises HostLacks."""
    package = Path(danube_pkg.__file__).absolute().parent
    directories = [package / "bin" / platform.machine(), package.parent / "build" / "bin" / platform.machine()]
    for directory in directories:
        if (directory / name).is_file():
            return directory / name
    raise HostLacks(
        "program-missing",
        f"the program {name} for {platform.machine()} is missing",
        cause=f"neither directory has it: {', '.join(map(str, directories))}",
        hint="make setup",
    )


def coordinator_program() -> CoordinatorProgram:
    """The coordinator's code, and the environment by which it finds its server and its token."""
    package = Path(danube_pkg.__file__).absolute().parent
    mounts = [(package / part, f"{PROGRAM_PATH}/danube_pkg/{part}") for part in _OWN_PARTS]
    for name in _PACKAGES:
        mounts += [(path, f"{PROGRAM_PATH}/{path.name}") for path in _paths_of(name)]
    environment = {
        "DANUBE_SERVER": "unix:/.danube/run/coordinator.sock",
        "DANUBE_TOKEN_FILE": "/.danube/token",
        "DANUBE_WORKSPACE": "/workspace",
        "PYTHONPATH": PROGRAM_PATH,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return CoordinatorProgram(tuple(mounts), environment)


def coordinator_command() -> str:
    """The shell command that runs the coordinator, with this server's interpreter and not the first one on a PATH.

    Without `site` (`-s -S`): a danubefile must not come to need a package that only this machine's Python happens to
    have.
    """
    interpreter = Path(sys.executable).resolve()
    return f"exec {shlex.quote(str(interpreter))} -s -S -m danube_pkg.pod.coordinator"


def coordinator_files() -> CoordinatorFiles:
    """For a checkout, an installed package and a zipapp, which runs from an unpacked tree."""
    package = Path(danube_pkg.__file__).absolute().parent
    packages = [(package / part, f"danube_pkg/{part}") for part in _OWN_PARTS]
    for name in _PACKAGES:
        packages += [(path, path.name) for path in _paths_of(name)]
    standard = dict.fromkeys(Path(sysconfig.get_path(name, vars=_BASE)).resolve() for name in ("stdlib", "platstdlib"))
    return CoordinatorFiles(
        interpreter=Path(sys.executable).resolve(),
        version=sysconfig.get_python_version(),
        standard_library=tuple(path for path in standard if path.is_dir()),
        packages=tuple(packages),
        supervisor=find_program("danube-step"),
        library_directory=sys.platlibdir,
    )


_BASE = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix, "installed_base": sys.base_prefix}
"""The installation's own directories, also where this program runs from a virtual environment."""


def _paths_of(name: str) -> Sequence[Path]:
    """A package's directories, or a module's file."""
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        return [Path(path).absolute() for path in spec.submodule_search_locations][:1]
    if spec is not None and spec.origin is not None:
        return [Path(spec.origin).absolute()]
    raise Defect("package-missing", f"the package {name} is not installed")
