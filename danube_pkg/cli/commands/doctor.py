"""`danube doctor`: whether this machine can run jobs, and the commands that install what it lacks."""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from danube_pkg.bootstrap.runtime import sandbox_settings
from danube_pkg.cli.output import painted, print_json, say
from danube_pkg.cli.servers import data_directory
from danube_pkg.core.configuration.settings import RuntimeSettings
from danube_pkg.kit.records import to_builtins
from danube_pkg.ops.doctor import CheckResult, diagnose


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="the data directory to check (the server's, else a temporary one)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    data = data_directory(options.data)
    if options.data is None and not data.is_dir():
        with tempfile.TemporaryDirectory(prefix="danube-doctor-") as temporary:
            return _report(_findings(Path(temporary)), as_json=options.json)
    return _report(_findings(data), as_json=options.json)


def _findings(data: Path) -> Sequence[CheckResult]:
    return asyncio.run(diagnose(sandbox_settings(RuntimeSettings(), data)))


def _report(findings: Sequence[CheckResult], *, as_json: bool) -> int:
    if as_json:
        print_json([to_builtins(finding) for finding in findings])
    for finding in findings if not as_json else ():
        say(f"{painted('ok  ', '32') if finding.ok else painted('FAIL', '31')} {finding.name}: {finding.what}")
        if finding.hint:
            say(f"       hint: {finding.hint}")
    return 0 if all(finding.ok for finding in findings) else 1
