"""Work on a container's files by a process with the rights of all their owners. Where the server is an ordinary user,
only a process in a user namespace has those. One JSON request on standard input, one JSON response on standard
output.

    {"verb": "prepare", "target": …, "lower": … or null, "directories": […], "files": […], "start": …}
        → {"starts": bool}
    {"verb": "copy", "lower": …, "target": …} → {"bytes": n}
    {"verb": "measure", "targets": […], "most": [bytes, inodes]} → {"bytes": n, "inodes": n, "problem": …}
    {"verb": "open-files", "within": process, "processes": […]}
        → {"files": [[device, inode, bytes]], "unreadable": […], "problem": …}, with an empty `userns_command`
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danube_pkg.core.errors import Permanent, StorageFull
from danube_pkg.core.reasons import Reason
from danube_pkg.kit.processes import child_process


async def run_in_user_namespace(userns_command: Sequence[str], request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response to one request. userns_command: as in SandboxPods. Raises StorageFull, Permanent."""
    home = str(Path(__file__).absolute().parents[4])
    async with child_process(
        *userns_command, sys.executable, "-P", "-m", "danube_pkg.adapters.runtimes.sandbox.user_namespace_program",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": home, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}, cwd="/",
    ) as process:  # fmt: skip
        output, errors = await process.communicate(json.dumps(request).encode())
    if output:
        response: Mapping[str, Any] = json.loads(output)
    else:
        response = {"failed": errors.decode(errors="replace").strip()[-500:]}
    if "full" in response:
        raise StorageFull("disk-full", str(response["full"]))
    if "failed" in response:
        cause = str(response["failed"])
        raise Permanent(Reason.POD_FAILED, "the files of the container could not be created", cause=cause)
    return response
