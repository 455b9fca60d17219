"""The process that works on a container's files with the rights of all their owners; user_namespace.py starts it and
has its requests. Pods of an ordinary user are measured by one every few seconds, so it imports little.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.adapters.runtimes.sandbox.image_copy import copy_image
from danube_pkg.adapters.runtimes.sandbox.mount_points import MountPoints, make_mount_points
from danube_pkg.adapters.runtimes.sandbox.open_files import enter_user_namespace, unnamed_files
from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.kit.tree_sizes import TreeSize, measure_trees


def _handle(request: Mapping[str, Any]) -> Mapping[str, Any]:
    if request["verb"] == "measure":
        found = measure_trees(map(Path, request["targets"]), TreeSize(*request["most"]))
        return {"bytes": found.size_bytes, "inodes": found.inodes, "problem": found.problem}
    if request["verb"] == "open-files":
        enter_user_namespace(request["within"])
        found_files = unnamed_files(request["processes"])
        files = [[*identity, size] for identity, size in found_files.sizes.items()]
        return {"files": files, "unreadable": found_files.unreadable, "problem": found_files.problem}
    target = Path(request["target"])
    lower = request["lower"]
    if request["verb"] == "copy":
        return {"bytes": copy_image(Path(lower), target, 0)}
    mount_points = MountPoints(target, Path(lower) if lower is not None else None, 0)
    make_mount_points(mount_points, directories=request["directories"], files=request["files"])
    return {"starts": mount_points.start_directory(request["start"])}


def main() -> None:
    """One request from standard input; every failure is a response too."""
    try:
        response = _handle(json.load(sys.stdin))
    except StorageFull as error:
        response = {"full": str(error)}
    except (Permanent, OSError) as error:
        response = {"failed": str(error)}
    json.dump(response, sys.stdout)


if __name__ == "__main__":
    main()
