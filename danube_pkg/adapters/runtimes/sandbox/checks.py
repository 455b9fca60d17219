"""Whether the programs that make pods are still installed: an upgrade of the machine may have removed them."""

import os
from collections.abc import Sequence

from danube_pkg.adapters.runtimes.sandbox.bubblewrap import find_bubblewrap
from danube_pkg.adapters.runtimes.sandbox.settings import SandboxSettings
from danube_pkg.core.errors import HostLacks
from danube_pkg.core.health.conditions import Condition


class SandboxPrograms:
    """The check of the subsystem of pods. It reads a few directory entries, and starts nothing."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings

    async def conditions(self) -> Sequence[Condition]:
        """One for each program that is missing."""
        found = [
            Condition("runtime-incomplete", f"no pod can be made: {program} is missing", "install Danube again")
            for program in (self._settings.supervisor, self._settings.namespaces)
            if not os.access(program, os.X_OK)
        ]
        try:
            find_bubblewrap()
        except HostLacks as error:
            found.append(Condition("runtime-incomplete", f"no pod can be made: {error}", error.hint))
        return found
