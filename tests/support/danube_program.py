"""What the fork server of `danube_process.py` runs: the command `danube`, whose slow imports are made here, once."""

import json
import os
import sys

import aiohttp
import joserfc.jwt

import danube_pkg.cli.commands.artifacts
import danube_pkg.cli.commands.image
import danube_pkg.cli.commands.run
import danube_pkg.cli.commands.serve
import danube_pkg.cli.commands.validate
import danube_pkg.cli.serving
from danube_pkg.cli.main import script

REQUEST = "TEST_DANUBE_PROCESS"
"""The variable with the command's words, directory and umask."""

IMPORTED = (aiohttp, joserfc.jwt, danube_pkg)


def main() -> int:
    """Run the command in its directory."""
    request = json.loads(os.environ.pop(REQUEST))
    os.chdir(request["directory"])
    if request["umask"] >= 0:
        os.umask(request["umask"])
    sys.argv = ["danube", *request["words"]]
    try:
        script()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    raise AssertionError("the script has not exited")
