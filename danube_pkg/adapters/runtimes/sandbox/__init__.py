"""The embedded runtime: pods as Linux namespaces on this machine, by bubblewrap and two small static programs.

It must not know a job's state, only pods; what both runtimes share is pure and stands in `core/runtimes/pods.py`.
"""

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap
from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.id_maps import map_of_user
from danube_pkg.adapters.runtimes.sandbox.launch import PROXY_USER, has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.programs import (
    closed_to_pods,
    coordinator_command,
    coordinator_program,
    find_program,
)
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.adapters.runtimes.sandbox.seccomp import seccomp_program
from danube_pkg.adapters.runtimes.sandbox.settings import CoordinatorProgram, SandboxSettings

__all__ = [
    "PROXY_USER",
    "CoordinatorProgram",
    "SandboxRuntime",
    "SandboxSettings",
    "closed_to_pods",
    "coordinator_command",
    "coordinator_program",
    "find_bubblewrap",
    "find_cgroups",
    "find_program",
    "has_ids_for_pods",
    "map_of_user",
    "seccomp_program",
]
