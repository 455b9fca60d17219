"""Whether the runtime that danube.toml chooses can run jobs: which it is, why, and for a cluster what it answers."""

import asyncio
import importlib

from danube_pkg.bootstrap.runtime_choice import choose_runtime
from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.errors import PlatformError
from danube_pkg.core.runtimes.choice import ClusterFacts
from danube_pkg.ops.doctor import CheckResult


async def check_runtime(settings: Settings, facts: ClusterFacts | None = None) -> CheckResult:
    """facts: None to read them from this machine."""
    try:
        choice = choose_runtime(settings, facts)
        if choice.cluster is None:
            return CheckResult("runtime", True, str(choice))
        module = await asyncio.to_thread(importlib.import_module, "danube_pkg.bootstrap.cluster_check")
        found, missing = await module.check_cluster(choice.cluster, settings.kubernetes)
    except PlatformError as error:
        return CheckResult("runtime", False, str(error), error.hint)
    if missing:
        return CheckResult("runtime", False, f"{choice}; the account lacks: {', '.join(missing)}", module.RIGHTS_HINT)
    return CheckResult("runtime", True, f"{choice}; {found}")
