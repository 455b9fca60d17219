"""`danube artifacts`: list and download artifacts and their provenance. A download gets its name after its hash was
checked."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.file_output import write_output
from danube_pkg.cli.output import print_table, say, show, size
from danube_pkg.cli.progress import progress
from danube_pkg.cli.servers import add_server_arguments
from danube_pkg.core.errors import NotFound, Permanent, Unavailable

CHUNK_BYTES = 256 * 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="list a job's artifacts")
    listing.add_argument("job", metavar="JOB")
    listing.set_defaults(act=_list)
    add_server_arguments(listing)
    download = commands.add_parser("download", help="download one artifact")
    download.add_argument("job", metavar="JOB")
    download.add_argument("name", metavar="NAME")
    download.add_argument(
        "-o", "--output", metavar="FILE", help="where to write it (its own name); - for standard output"
    )
    download.set_defaults(act=_download)
    add_server_arguments(download, json_help="")

    provenance = commands.add_parser("provenance", help="download the signed statement about a job's artifacts")
    provenance.add_argument("job", metavar="JOB")
    provenance.add_argument("--bundle", action="store_true", help="as a Sigstore bundle, for cosign")
    provenance.add_argument("--output", metavar="FILE", help="where to write it (standard output)")
    provenance.set_defaults(act=_provenance)
    add_server_arguments(provenance, json_help="")


def main(options: argparse.Namespace) -> int:
    return int(options.act(options))


def _list(options: argparse.Namespace) -> int:
    artifacts = ApiClient(options).get(f"/api/v1/jobs/{quote(options.job)}/artifacts")["artifacts"]
    return show(artifacts, options, _print)


def _print(artifacts: Sequence[Mapping[str, Any]]) -> None:
    rows = [(one["name"], one["file_name"], size(one["size_bytes"]), one["sha256"]) for one in artifacts]
    print_table(("NAME", "FILE", "SIZE", "SHA256"), rows)


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
    say(f"{target} ({size(artifact['size_bytes'])}, sha256 {artifact['sha256']})", file=sys.stderr)
    return 0


def _provenance(options: argparse.Namespace) -> int:
    kind = "?format=bundle" if options.bundle else ""
    with ApiClient(options).open(f"/api/v1/jobs/{quote(options.job)}/provenance{kind}") as response:
        write_output(options.output, response.read())
    return 0


def _receive(client: ApiClient, path: str, descriptor: int, artifact: Mapping[str, Any]) -> None:
    """Download into an open file, and close it. Raises Unavailable if the hash differs."""
    hash_ = sha256()
    with (
        os.fdopen(descriptor, "wb") as file,
        client.open(path) as response,
        progress(artifact["file_name"], artifact["size_bytes"]) as shown,
    ):
        while chunk := response.read(CHUNK_BYTES):
            hash_.update(chunk)
            file.write(chunk)
            shown.add(len(chunk))
    if hash_.hexdigest() != artifact["sha256"]:
        raise Unavailable("download-torn", "the download's hash differs from the artifact's", hint="try again")
