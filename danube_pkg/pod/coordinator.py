"""The process that runs a danubefile: Start, the source into the workspace, the pipeline function, Finish.

Environment: DANUBE_SERVER (a gRPC address), DANUBE_TOKEN_FILE, DANUBE_WORKSPACE. It holds no credential but the job token,
which it reads from the file; nothing of the environment is needed after the start, and the danubefile does not see it.
"""

import os
import sys
from pathlib import Path

from danube._errors import DanubeError

from danube import _session
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.script import Outcome, run_script
from danube_pkg.pod.source_tree import BadSource, unpack


def main() -> int:
    """0 when Finish was said, whatever it said; 1 when it could not be said."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    server = os.environ.pop("DANUBE_SERVER")
    token = Path(os.environ.pop("DANUBE_TOKEN_FILE")).read_text().strip()
    workspace = Path(os.environ.pop("DANUBE_WORKSPACE", "/workspace"))
    os.environ.pop("PYTHONPATH", None)
    client = CoordinatorClient(server, token, str(workspace))
    try:
        client.start()
        outcome = _work(client, workspace)
        sys.stdout.flush()
        sys.stderr.flush()
        client.finish(success=not outcome.reason, reason=outcome.reason, message=outcome.message, step=outcome.step)
    except DanubeError as error:
        print(f"danube: {error}", file=sys.stderr)
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
    code = main()
    sys.stdout.flush()
    os._exit(code)  # a thread that still waits for an open step must not keep the job
