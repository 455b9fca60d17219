"""Work on the files of a container by a process that has the rights of all their owners: as an ordinary user, only a process in
a user namespace has them. One request on standard input, one answer on standard output.

    {"verb": "prepare", "target": …, "lower": … or null, "directories": […], "files": […], "start": …} → {"starts": bool}
    {"verb": "copy", "lower": …, "target": …}                                                          → {"bytes": n}
    {"verb": "measure", "target": …}                                                                   → {"bytes": n}
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danube_pkg.adapters.runtimes.sandbox.image_root import copy_image
from danube_pkg.adapters.runtimes.sandbox.pod_files import directory_bytes
from danube_pkg.adapters.runtimes.sandbox.root_places import RootPlaces, prepare_places
from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.core.reasons import Reason


async def ask_inside(within: Sequence[str], request: Mapping[str, Any]) -> Mapping[str, Any]:
    """within: the words before the command. Raises StorageFull, Permanent."""
    home = str(Path(__file__).absolute().parents[4])
    process = await asyncio.create_subprocess_exec(
        *within, sys.executable, "-P", "-m", "danube_pkg.adapters.runtimes.sandbox.inside",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}, cwd="/",
    )  # fmt: skip
    said, errors = await process.communicate(json.dumps(request).encode())
    answer: Mapping[str, Any] = json.loads(said) if said else {"failed": errors.decode(errors="replace").strip()[-500:]}
    if "full" in answer:
        raise StorageFull("disk-full", str(answer["full"]))
    if "failed" in answer:
        raise Permanent(Reason.POD_FAILED, "the files of the container could not be made", cause=str(answer["failed"]))
    return answer


def _act(request: Mapping[str, Any]) -> Mapping[str, Any]:
    target = Path(request["target"])
    if request["verb"] == "measure":
        return {"bytes": directory_bytes(target)[0]}
    lower = request["lower"]
    if request["verb"] == "copy":
        return {"bytes": copy_image(Path(lower), target, 0)}
    places = RootPlaces(target, Path(lower) if lower is not None else None, 0)
    prepare_places(places, directories=request["directories"], files=request["files"])
    return {"starts": places.start_directory(request["start"])}


def main() -> None:
    """An answer in every case."""
    try:
        answer = _act(json.load(sys.stdin))
    except StorageFull as error:
        answer = {"full": str(error)}
    except (Permanent, OSError) as error:
        answer = {"failed": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
