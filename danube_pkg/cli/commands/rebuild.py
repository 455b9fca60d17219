"""`danube rebuild JOB`: build again what a green job has built, and compare both, file by file.

Exit codes: 0 the same, 1 different or failed.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.artifact_differences import differences
from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.logs import follow_started
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import painted, print_json, print_table, say
from danube_pkg.cli.servers import add_server_arguments

_CHUNK_BYTES = 256 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "--with-secrets",
        metavar="NAME",
        action="append",
        default=[],
        help="let it read this secret; may be repeated",
    )
    add_server_arguments(parser)


def main(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    original = job_id(client, options.job)
    body = {"with_secrets": options.with_secrets}
    job = client.post(f"/api/v1/jobs/{quote(original)}/rebuild", body)
    follow_started(client, job, as_json=options.json)
    report = client.get(f"/api/v1/jobs/{quote(job['id'])}/rebuild")
    if options.json:
        print_json(report)
    else:
        _print(client, job["id"], report)
    return 0 if report["matches"] else 1


def _print(client: ApiClient, job: str, report: Mapping[str, Any]) -> None:
    if report["status"] != "success":
        say(f": the rebuild ended as {report['status']}", lead=painted("not compared", "31"))
        return
    lead = painted("the same", "32") if report["matches"] else painted("different", "31")
    say(f": job {report['original']} and its rebuild {job}", lead=lead)
    rows = [("same" if one["same"] else "DIFFERENT", one["name"], _short(one)) for one in report["outputs"]]
    print_table(("RESULT", "OUTPUT", "SHA256"), rows)
    for one in report["outputs"]:
        if not one["same"] and one["sha256"] and one["rebuilt_sha256"]:
            _print_differences(client, (report["original"], job), one["name"])


def _short(output: Mapping[str, Any]) -> str:
    if output["same"]:
        return str(output["sha256"])
    return f"{output['sha256'][:16] or 'missing'} -> {output['rebuilt_sha256'][:16] or 'missing'}"


def _print_differences(client: ApiClient, jobs: tuple[str, str], file_name: str) -> None:
    """Which members of an archive differ."""
    with tempfile.TemporaryDirectory(prefix="danube-rebuild-") as directory:
        files = [Path(directory) / str(number) for number in range(len(jobs))]
        for job, file in zip(jobs, files, strict=True):
            if not _download(client, job, file_name, file):
                return  # an image
        rows = differences(*files)
    if rows:
        say(f"\n{file_name}:")
        print_table(("CHANGE", "FILE"), rows)


def _download(client: ApiClient, job: str, file_name: str, target: Path) -> bool:
    """Whether the job has such an artifact."""
    artifacts = client.get(f"/api/v1/jobs/{quote(job)}/artifacts")["artifacts"]
    name = next((one["name"] for one in artifacts if one["file_name"] == file_name), None)
    if name is None:
        return False
    with (
        client.open(f"/api/v1/jobs/{quote(job)}/artifacts/{quote(name, safe='')}") as response,
        target.open("wb") as file,
    ):
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
    return True
