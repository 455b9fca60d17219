"""A worker finds everything imported: the fork server has done it, once for all workers."""

import json
import subprocess
import sys
from pathlib import Path

from danube_pkg.adapters.git.process import worker_environment
from danube_pkg.adapters.git.remote import RemoteSettings
from tests.support.git_servers import HttpServer, ServedRepository

PROGRAM = """
import json, os, sys
from danube_pkg.adapters.git import worker
before = set(sys.modules)
for request in json.loads(sys.argv[1]):
    with open(os.devnull, "wb") as output:
        worker._answer(request, output)
print(*sorted(set(sys.modules) - before))
"""


def test_a_worker_imports_nothing_for_a_job_over_http(tmp_path: Path) -> None:
    repository = ServedRepository(tmp_path / "served" / "app.git")
    commit = repository.commit({"file": "text\n"})
    with HttpServer(tmp_path / "served") as server:
        about = {
            "repository": server.url(repository),
            "commit_sha": commit,
            "mirror": str(tmp_path / "mirror.git"),
            "directory": str(tmp_path),
            "ref": "main",
            "remote": RemoteSettings().request(),
        }
        requests = [{**about, "do": action} for action in ("resolve", "fetch", "stream")]
        command = [sys.executable, "-c", PROGRAM, json.dumps(requests)]
        done = subprocess.run(command, env=worker_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
