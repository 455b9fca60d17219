"""The embedded runtime: pods as Linux namespaces on this machine, by bubblewrap and two small static programs.

`runtime.py` implements the port over `pods.py`, `containers.py`, `limits.py` and `pod_egress.py`. It must not know a
job's state, only pods; what all runtimes share is pure and belongs to `core/runtimes`.
"""

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap
from danube_pkg.adapters.runtimes.sandbox.cgroups import find_cgroups
from danube_pkg.adapters.runtimes.sandbox.checks import SandboxPrograms
from danube_pkg.adapters.runtimes.sandbox.file_permissions import unreadable_for_pods
from danube_pkg.adapters.runtimes.sandbox.id_maps import map_of_user
from danube_pkg.adapters.runtimes.sandbox.id_ranges import PROXY_USER, has_ids_for_pods
from danube_pkg.adapters.runtimes.sandbox.machine_memory import machine_bytes, memory_of_all_pods
from danube_pkg.adapters.runtimes.sandbox.pod_disks import PodDisks
from danube_pkg.adapters.runtimes.sandbox.runtime import SandboxRuntime
from danube_pkg.adapters.runtimes.sandbox.seccomp import seccomp_program
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings

__all__ = [
    "PROXY_USER",
    "PodDisks",
    "SandboxPrograms",
    "SandboxRuntime",
    "SandboxSettings",
    "find_bubblewrap",
    "find_cgroups",
    "has_ids_for_pods",
    "machine_bytes",
    "map_of_user",
    "memory_of_all_pods",
    "seccomp_program",
    "unreadable_for_pods",
]
