"""Leaves out imports that libraries make and this process does not need, which are most of a small program's start.

    with LateModules("asyncio"):
        import grpc

Within the block an import of the named module gives a placeholder. The first use of one of its attributes imports the
module, whenever that is, from where the block would have found it: a path that is added later, as that of a
repository's own modules, is not searched. After the block the name is free again, so that the next import, as of a
danubefile, gets the module itself. A module that is imported already stays.

The garbage collector rests meanwhile: what is imported stays, and is not examined again afterwards.
"""

import gc
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any


class LateModules:
    """names: of modules, with their packages."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._placeholders: list[ModuleType] = []
        self._collected = False

    def __enter__(self) -> None:
        self._collected = gc.isenabled()
        gc.disable()
        for name in self._names:
            if name not in sys.modules:
                sys.modules[name] = _placeholder(name)
                self._placeholders.append(sys.modules[name])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._placeholders:
            _remove(one)
        gc.freeze()
        if self._collected:
            gc.enable()


def _placeholder(name: str) -> ModuleType:
    made = ModuleType(name, "Imported with its first use.")
    path = tuple(sys.path)

    def attribute(wanted: str) -> Any:
        if wanted.startswith("__"):  # what the import system and debuggers ask of every module
            raise AttributeError(wanted)
        _remove(made)
        return getattr(_imported(name, path), wanted)

    made.__getattr__ = attribute  # type: ignore[method-assign]
    return made


def _imported(name: str, path: Sequence[str]) -> ModuleType:
    """path: that of the search. Another thread that imports meanwhile searches it too."""
    theirs = sys.path
    sys.path = list(path)
    try:
        return importlib.import_module(name)
    finally:
        sys.path = theirs


def _remove(placeholder: ModuleType) -> None:
    if sys.modules.get(placeholder.__name__) is placeholder:
        del sys.modules[placeholder.__name__]
