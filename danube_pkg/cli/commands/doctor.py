"""`danube doctor`: whether this machine can run jobs, and the commands that install what it lacks."""

import argparse
import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danube_pkg.adapters.configuration import find_settings, read_settings
from danube_pkg.bootstrap.runtime import sandbox_settings
from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import painted, print_json, say
from danube_pkg.cli.servers import data_directory
from danube_pkg.core.configuration.settings import ConfigRepository, RuntimeSettings, Settings
from danube_pkg.core.errors import Invalid, PlatformError
from danube_pkg.kit.records import to_builtins
from danube_pkg.ops.bug_report import bug_report
from danube_pkg.ops.doctor import CheckResult, diagnose
from danube_pkg.ops.runtime_check import check_runtime


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="the data directory to check (the server's, else a temporary one)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--report", action="store_true", help="print one page for a bug report, without private names")


def main(options: argparse.Namespace) -> int:
    data = data_directory(options.data)
    if options.data is None and not data.is_dir():
        with tempfile.TemporaryDirectory(prefix="danube-doctor-") as temporary:
            return _report(_findings(Path(temporary)), options)
    return _report(_findings(data), options)


def _findings(data: Path) -> Sequence[CheckResult]:
    return asyncio.run(_diagnose(data))


async def _diagnose(data: Path) -> Sequence[CheckResult]:
    return [await check_runtime(_settings()), *await diagnose(sandbox_settings(RuntimeSettings(), data))]


def _settings() -> Settings:
    """danube.toml, where there is one that a server here would read."""
    try:
        return read_settings(find_settings())
    except Invalid as error:
        if error.reference != "settings-missing":
            raise
        return Settings(ConfigRepository(""))


def _report(findings: Sequence[CheckResult], options: argparse.Namespace) -> int:
    if options.json:
        print_json([to_builtins(finding) for finding in findings])
    elif options.report:
        say(bug_report(findings, *_server(options)))
    for finding in findings if not options.json and not options.report else ():
        say(f"{painted('ok  ', '32') if finding.ok else painted('FAIL', '31')} {finding.name}: {finding.what}")
        if finding.hint:
            say(f"       hint: {finding.hint}")
    return 0 if all(finding.ok for finding in findings) else 1


def _server(options: argparse.Namespace) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """The answers of this machine's server; None and empty where none answers."""
    try:
        client = ApiClient(argparse.Namespace(data=options.data, server=None))
        return client.get("/health/ready", accept=(503,)), client.get("/api/v1/system")
    except PlatformError:
        return None, {}
