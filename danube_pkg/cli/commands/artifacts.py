"""`danube artifacts`: list and download artifacts and their provenance. A download gets its name after its hash was
checked."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import IO, Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.file_output import write_output, written
from danube_pkg.cli.job_names import JOB_HELP, job_id
from danube_pkg.cli.output import print_table, say, show, size
from danube_pkg.cli.progress import progress
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import NotFound, Unavailable

CHUNK_BYTES = 256 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list a job's artifacts")
    listing.add_argument("job", metavar="JOB", help=JOB_HELP)
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    download = commands.add_parser("download", help="download one artifact")
    download.add_argument("job", metavar="JOB", help=JOB_HELP)
    download.add_argument("name", metavar="NAME", help="the artifact's name")
    download.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write it, a file or a directory (its own name); - for standard output",
    )
    download.set_defaults(act=_download)
    add_server_arguments(download, json_help="")

    provenance = commands.add_parser("provenance", help="download the signed statement about a job's artifacts")
    provenance.add_argument("job", metavar="JOB", help=JOB_HELP)
    provenance.add_argument("--bundle", action="store_true", help="as a Sigstore bundle, for cosign")
    provenance.add_argument("--output", metavar="FILE", help="where to write it (standard output)")
    provenance.set_defaults(act=_provenance)
    add_server_arguments(provenance, json_help="")


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _list(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    found = client.get(f"/api/v1/jobs/{quote(job_id(client, options.job))}/artifacts")
    if options.json:
        return show(found["artifacts"], options, _print)
    _print(found["artifacts"])
    if found["images"]:
        rows = [(one["name"], one["digest"], one["attestation"], one["problem"]) for one in found["images"]]
        print_table(("IMAGE", "DIGEST", "PROVENANCE", "WHY"), rows)
    return 0


def _print(artifacts: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["name"], one["file_name"], size(one["size_bytes"]), one["sha256"], one["describes"]) for one in artifacts
    ]
    print_table(("NAME", "FILE", "SIZE", "SHA256", "SBOM OF"), rows)


def _download(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    found = job_id(client, options.job)
    job, name = quote(found), quote(options.name, safe="")
    known = {one["name"]: one for one in client.get(f"/api/v1/jobs/{job}/artifacts")["artifacts"]}
    if options.name not in known:
        raise NotFound(
            "artifact-unknown",
            f"job {found} has no artifact {options.name!r}",
            hint=f"danube artifacts list {found}",
        )
    artifact = known[options.name]
    path = f"/api/v1/jobs/{job}/artifacts/{name}"
    target = options.output or artifact["file_name"]
    if os.path.isdir(target):
        target = os.path.join(target, artifact["file_name"])
    with written(target) as file:
        _receive(client, path, file, artifact)
    if target == "-":
        return 0
    say(f"{target} ({size(artifact['size_bytes'])}, sha256 {artifact['sha256']})", file=sys.stderr)
    return 0


def _provenance(options: argparse.Namespace) -> int:
    kind = "?format=bundle" if options.bundle else ""
    client = ApiClient(options)
    with client.open(f"/api/v1/jobs/{quote(job_id(client, options.job))}/provenance{kind}") as response:
        write_output(options.output, response.read())
    return 0


def _receive(client: ApiClient, path: str, file: IO[bytes], artifact: Mapping[str, Any]) -> None:
    """Download into an open file. Raises Unavailable if the hash differs."""
    hash_ = sha256()
    with (
        client.open(path) as response,
        progress(artifact["file_name"], artifact["size_bytes"]) as shown,
    ):
        while chunk := response.read(CHUNK_BYTES):
            hash_.update(chunk)
            file.write(chunk)
            shown.add(len(chunk))
    if hash_.hexdigest() != artifact["sha256"]:
        raise Unavailable("download-torn", "the download's hash differs from the artifact's", hint="try again")
