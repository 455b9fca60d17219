"""The process that runs a danubefile: it starts the job, unpacks the source, calls the pipeline function and finishes
the job.

Environment: DANUBE_SERVER (a gRPC address), DANUBE_TOKEN_FILE, DANUBE_WORKSPACE; all are removed before the
danubefile runs. The job token, read from its file, is the only credential.
"""

import os
import site
import sys
from pathlib import Path

from danube._errors import DanubeError

from danube import _session
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.own_process import flush, leave, say
from danube_pkg.pod.script import Outcome, run_script
from danube_pkg.pod.source_tree import BadSource, unpack


def main() -> int:
    """0 when the server took the job's result, whatever that is; 1 when the job could not be finished."""
    site.setquit()  # `exit` and `quit`, which `python -S` leaves out
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    server = os.environ.pop("DANUBE_SERVER")
    token = Path(os.environ.pop("DANUBE_TOKEN_FILE")).read_text().strip()
    workspace = Path(os.environ.pop("DANUBE_WORKSPACE", "/workspace"))
    os.environ.pop("PYTHONPATH", None)
    client = CoordinatorClient(server, token, str(workspace))
    try:
        client.start()
        outcome = _work(client, workspace)
        flush()
        client.finish(success=not outcome.reason, reason=outcome.reason, message=outcome.message, step=outcome.step)
    except DanubeError as error:
        say(f"danube: {error}")
        return 1
    return 0


def _work(client: CoordinatorClient, workspace: Path) -> Outcome:
    try:
        client.fetch_source(lambda chunks: unpack(chunks, workspace))
    except (DanubeError, BadSource, OSError) as error:
        return Outcome("source-unavailable", f"the source could not be fetched: {error}")
    _session.enter(client)
    return run_script(workspace, str(client.context["script"]))


if __name__ == "__main__":
    leave(main())
