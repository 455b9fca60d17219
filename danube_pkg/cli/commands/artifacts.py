"""`danube artifacts`: what a job kept; a download is checked against its hash before it gets its name."""

import argparse
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_json, print_table, size
from danube_pkg.cli.progress import progress
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import NotFound, Permanent, Unavailable

CHUNK_BYTES = 256 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list a job's artifacts")
    listing.add_argument("job", metavar="JOB")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    download = commands.add_parser("download", help="download one artifact")
    download.add_argument("job", metavar="JOB")
    download.add_argument("name", metavar="NAME")
    download.add_argument(
        "-o", "--output", metavar="FILE", help="where to (its own name in this directory; - is standard output)"
    )
    download.set_defaults(act=_download)
    add_server_arguments(download)


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _list(options: argparse.Namespace) -> int:
    artifacts = ApiClient(options).get(f"/api/v1/jobs/{quote(options.job)}/artifacts")["artifacts"]
    if options.json:
        print_json(artifacts)
        return 0
    rows = [(one["name"], one["file_name"], size(one["size_bytes"]), one["sha256"]) for one in artifacts]
    print_table(("NAME", "FILE", "SIZE", "SHA256"), rows)
    return 0


def _download(options: argparse.Namespace) -> int:
    client = ApiClient(options)
    job, name = quote(options.job), quote(options.name, safe="")
    known = {one["name"]: one for one in client.get(f"/api/v1/jobs/{job}/artifacts")["artifacts"]}
    if options.name not in known:
        raise NotFound(
            "artifact-unknown",
            f"job {options.job} has no artifact {options.name!r}",
            hint=f"danube artifacts list {options.job}",
        )
    artifact = known[options.name]
    path = f"/api/v1/jobs/{job}/artifacts/{name}"
    if options.output == "-":
        _receive(client, path, os.dup(sys.stdout.fileno()), artifact)
        return 0
    target = Path(options.output or artifact["file_name"])
    part = target.with_name(f".{target.name}.part")
    try:
        _receive(client, path, os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), artifact)
        os.replace(part, target)
    except OSError as error:
        raise Permanent(
            "file-not-written",
            f"{target} cannot be written",
            cause=error.strerror or str(error),
            hint="name another file: --output FILE, or - for standard output",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    print(f"{target} ({size(artifact['size_bytes'])}, sha256 {artifact['sha256']})", file=sys.stderr)
    return 0


def _receive(client: ApiClient, path: str, descriptor: int, artifact: Mapping[str, Any]) -> None:
    """Stream into an open file, which is closed. Raises Unavailable when what came is not what the server has."""
    hash_ = sha256()
    with (
        os.fdopen(descriptor, "wb") as file,
        client.open(path) as response,
        progress(artifact["file_name"], artifact["size_bytes"]) as told,
    ):
        while chunk := response.read(CHUNK_BYTES):
            hash_.update(chunk)
            file.write(chunk)
            told.add(len(chunk))
    if hash_.hexdigest() != artifact["sha256"]:
        raise Unavailable("download-torn", "the download does not have the artifact's hash", hint="try again")
