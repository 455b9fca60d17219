"""The process that runs a danubefile: it starts the job, unpacks the source, calls the pipeline function and finishes
the job.

Environment: DANUBE_CONNECTION (a directory with the files of `ServerConnection`), or DANUBE_SERVER (a unix socket) with
DANUBE_TOKEN_FILE; DANUBE_WORKSPACE; DANUBE_LEGS, where the runtime can isolate legs. All are removed before the
danubefile runs. The job token, read from its file, is the only credential.
"""

import os
import site
import sys

from danube_pkg.kit.late_modules import LateModules

with LateModules(
    *("asyncio", "grpc.aio", "pkgutil", "socket"),  # gRPC's
    *("google.protobuf.internal.python_message", "calendar"),  # protobuf's
    *(
        "bz2",
        "gzip",
        "hashlib",
        "inspect",
        "ipaddress",
        "json",
        "lzma",
        "subprocess",
    ),  # those of the standard library, and ours
):
    from pathlib import Path

    from danube._errors import DanubeError

    from danube import _session
    from danube_pkg.pod.client import CoordinatorClient
    from danube_pkg.pod.own_process import flush, leave, say
    from danube_pkg.pod.script import Outcome, run_script
    from danube_pkg.pod.server_connection import ServerConnection
    from danube_pkg.pod.source_tree import BadSource, unpack


def main() -> int:
    """0 when the server took the job's result, whatever that is; 1 when the job could not be finished."""
    site.setquit()  # `exit` and `quit`, which `python -S` leaves out
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    connection = _connection()
    workspace = Path(os.environ.pop("DANUBE_WORKSPACE", "/workspace"))
    legs = os.environ.pop("DANUBE_LEGS", "")
    os.environ.pop("PYTHONPATH", None)
    client = CoordinatorClient(connection, str(workspace), legs)
    try:
        client.start()
        outcome = _work(client, workspace)
        flush()
        client.finish(success=not outcome.reason, reason=outcome.reason, message=outcome.message, step=outcome.step)
    except DanubeError as error:
        say(f"danube: {error}")
        return 1
    return 0


def _connection() -> ServerConnection:
    directory, address = os.environ.pop("DANUBE_CONNECTION", ""), os.environ.pop("DANUBE_SERVER", "")
    token = os.environ.pop("DANUBE_TOKEN_FILE", "")
    if directory:
        return ServerConnection.in_directory(Path(directory))
    return ServerConnection(address, Path(token).read_text().strip())


def _work(client: CoordinatorClient, workspace: Path) -> Outcome:
    try:
        client.fetch_source(lambda chunks: unpack(chunks, workspace))
    except (DanubeError, BadSource, OSError) as error:
        return Outcome("source-unavailable", f"the source could not be fetched: {error}")
    _session.enter(client)
    outcome = run_script(workspace, str(client.context["script"]))
    return with_problem(outcome, client.only_step.problem)


def with_problem(outcome: Outcome, problem: str) -> Outcome:
    """A name that no step has is said first: what the danubefile does without its steps matters less."""
    if not problem:
        return outcome
    message = f"{problem}; then: {outcome.message}" if outcome.reason else problem
    return Outcome(outcome.reason or "script-error", message, outcome.step)


if __name__ == "__main__":
    leave(main())
