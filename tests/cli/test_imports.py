"""What each command imports: a start of `danube` pays for every module."""

import json
import subprocess
import sys
from collections.abc import Sequence

from danube_pkg.cli.command_table import COMMANDS, module_of

VERSION_IMPORTS = {"genericpath", "os", "posixpath", "stat"}
"""Modules of the standard library that `danube --version` may import: `os`, and what it is made of."""

HEAVY = ("grpc", "google", "dulwich", "aiohttp", "cryptography", "prometheus_client", "sqlite3", "yaml", "asyncio")

NEED_THEM = {
    "run",
    "install",
    "upgrade",
    "uninstall",
    "migrate-from",
    "validate",
    "explain",
    "verify",
    "image",
    "doctor",
    "backup",
    "restore",
    "migrate",
    "check-upgrade",
    "selftest",
}
"""Commands that work on data themselves. `serve` imports the server after it has read its settings; every other command
asks a server."""

_PROGRAM = """
import json, sys
before = set(sys.modules)
{work}
found = [name for name in sys.modules if name not in before]
print(json.dumps(found))
"""


def imported(work: str) -> Sequence[str]:
    """The modules that a program imports, in a Python that has imported nothing of this environment before."""
    program = _PROGRAM.format(work=work)
    paths = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", paths + program], capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_the_version_needs_nothing_but_the_command_line() -> None:
    found = imported("from danube_pkg.cli.main import main\nmain(['--version'])")
    own = {name for name in found if name.partition(".")[0] in ("danube", "danube_pkg")}
    assert own == {"danube_pkg", "danube_pkg.cli", "danube_pkg.cli.main"}
    others = {name.partition(".")[0] for name in found} - {"danube_pkg"}
    assert {name for name in others if not name.startswith("_")} - VERSION_IMPORTS == set()


def test_commands_that_ask_a_server_import_nothing_of_a_server() -> None:
    modules = [module_of(name) for name, _ in COMMANDS if name not in NEED_THEM]
    found = imported(f"import {', '.join(modules)}")
    assert [name for name in HEAVY if name in found] == []
    assert {name for name in found if name.startswith(("danube_pkg.adapters", "danube_pkg.services"))} == set()
