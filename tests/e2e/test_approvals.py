"""A job that waits for approval of production, on a real server: killed and restarted meanwhile, frozen, decided by
another user."""

import json
import urllib.request
from base64 import b64decode
from pathlib import Path

import bcrypt
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from danube_pkg.kit.records import decode_json
from tests.supervisor.box import children_of
from tests.support.ports import free_ports
from tests.support.server import Installation
from tests.support.waiting import wait_until

ISSUER = "https://ci.example.org"
PASSWORD = "a long password of a test"
DEPLOY = """
from pathlib import Path
from danube import DanubeError, approval, artifacts, ctx, pipeline, secrets, step

def token(name):
    Path(name).write_text(ctx.id_token(audience="cloud"))
    artifacts.upload(name, name=name)

@pipeline(name="deploy")
def build():
    step.run("echo built > program", name="build")
    token("before")
    try:
        secrets.get("DEPLOY_KEY")
    except DanubeError as error:
        step.run(f"echo refused: {error.reference}", name="early")
    granted = approval("production")
    token("after")
    key = secrets.get("DEPLOY_KEY")
    step.run('cat program; echo "deployed with $KEY"', name=f"deploy by {granted.by}", env={"KEY": key})
"""


class Site:
    """A server with two users of the team ops, and what the command line needs to act as one of them."""

    def __init__(self, danube: Installation) -> None:
        self.danube = danube
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        settings = danube.path / "danube.toml"
        text = settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
        settings.write_text(text.replace("[server]\n", f'[server]\nexternal_url = "{ISSUER}"\n'))
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        users = [
            self._document("User", name, email=f"{name}@example.com", password_hash=hashed) for name in ("alice", "bob")
        ]
        (danube.config / "users.yaml").write_text("\n---\n".join(users))
        ops = self._document("Team", "ops", members=[{"email": f"{name}@example.com"} for name in ("alice", "bob")])
        (danube.config / "teams.yaml").write_text(ops)
        danube.pipeline(
            "deploy",
            DEPLOY,
            permissions=[{"team": "ops", "level": "write"}],
            environments={"production": {"approvers": ["ops"], "secrets": ["DEPLOY_KEY"]}},
        )
        danube.serve()
        danube.command("secrets", "set", "DEPLOY_KEY", "--pipeline", "deploy", stdin="the-secret-deploy-key")

    @staticmethod
    def _document(kind: str, name: str, **spec: object) -> str:
        return json.dumps({"apiVersion": "danube.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})

    def request(self, path: str, body: object, token: str = "") -> dict[str, object]:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def token(self, name: str) -> str:
        wish = {"name": "test", "scopes": ["read", "write", "approve"]}
        body = {"email": f"{name}@example.com", "password": PASSWORD, "token": wish}
        return str(self.request("/auth/token", body)["token"])

    def waiting_job(self, by: str) -> str:
        """A job of that user, once it waits."""
        job_id = str(self.request("/api/v1/pipelines/deploy/jobs", {}, self.token(by))["id"])
        wait_until(lambda: self.approvals(job_id), 60, "the job to wait")
        self.danube.wait_for_log(job_id, "waits for approval of production")
        return job_id

    def approvals(self, job_id: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.danube.job(job_id)["approvals"]
        return found

    def approve(self, by: str, job_id: str, *words: str) -> str:
        """What `danube approve` prints for that user, and its exit code."""
        environment = self.danube.environment
        self.danube.environment = {**environment, "DANUBE_SERVER": self.url, "DANUBE_TOKEN": self.token(by)}
        try:
            done = self.danube.command("approve", job_id, *words, check=False)
        finally:
            self.danube.environment = environment
        return f"{done.returncode} {done.stdout}{done.stderr}"

    def states(self, job_id: str) -> set[str]:
        """The states of the processes of the danubefile, as proc(5) has them."""
        (pod,) = self.danube.pod_directories(job_id)
        record = decode_json((pod / "c" / "0" / "container.json").read_bytes(), dict)
        found, left = set(), [child for reaper in children_of(record["pid"]) for child in children_of(reaper)]
        while left:
            pid = left.pop()
            left += children_of(pid)
            found.add(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        return found

    def claims(self, job_id: str, name: str) -> dict[str, object]:
        token = self.danube.command("artifacts", "download", job_id, name, "--output", "-").stdout
        keys = self.danube.client.get("/.well-known/danube-identity-keys.json")
        return dict(jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims)


@pytest.mark.slow("starts a server twice, with a whole job between")
def test_a_job_waits_over_a_killed_server_until_another_user_approves(danube: Installation) -> None:
    site = Site(danube)
    job_id = site.waiting_job("alice")
    wait_until(lambda: site.states(job_id) == {"T"}, 30, "a frozen pod")
    danube.kill()
    assert site.states(job_id) == {"T"}
    danube.serve()
    assert danube.job(job_id)["reason"] == "environment-approval"
    explained = danube.command("explain", job_id).stdout
    assert "The job waits for approval of the environment production" in explained
    assert "It may be approved by ops" in explained
    refused = site.approve("alice", job_id)
    assert refused.startswith("3 ")
    assert "alice@example.com may not approve production: the same user has started the job" in refused
    assert site.approve("bob", job_id, "--reason", "reviewed").startswith("0 production is approved")
    ended = danube.end_of(job_id)
    assert ended["status"] == "success", danube.log(job_id)
    log = danube.log(job_id)
    assert "refused: secret-of-environment" in log
    assert "--- production was approved by bob@example.com: reviewed" in log
    assert "deployed with ***" in log
    assert "environment" not in site.claims(job_id, "before")
    after = site.claims(job_id, "after")
    assert after["environment"] == "production"
    assert str(after["sub"]).endswith(":environment:production")
    audit = danube.command("audit").stdout
    assert "approve-environment" in audit
    envelope = danube.client.get(f"/api/v1/jobs/{job_id}/provenance")
    definition = json.loads(b64decode(envelope["payload"]))["predicate"]["buildDefinition"]
    (approval,) = definition["internalParameters"]["approvals"]
    assert (approval["environment"], approval["by"], approval["decision"]) == (
        "production",
        "bob@example.com",
        "approved",
    )
    again = json.loads(danube.command("rerun", job_id, "--json").stdout)["id"]
    wait_until(lambda: site.approvals(again), 60, "the rerun to ask again")


@pytest.mark.slow("starts a server, with whole jobs between")
def test_a_rejection_a_cancellation_and_the_time_end_a_job_that_waits(danube: Installation) -> None:
    site = Site(danube)
    rejected, cancelled = site.waiting_job("alice"), site.waiting_job("alice")
    assert site.approve("bob", rejected, "--reject", "--reason", "not today").startswith("0 production is rejected")
    danube.command("cancel", cancelled)
    ended = danube.end_of(rejected)
    assert (ended["status"], ended["reason"]) == ("failure", "environment-rejected")
    assert ended["message"] == "approval of production was rejected by bob@example.com: not today"
    assert danube.end_of(cancelled)["status"] == "cancelled"
    text = DEPLOY.replace('approval("production")', 'approval("production", timeout_seconds=1)')
    danube.repository("deploy", {"danubefile.py": text})
    late = danube.end_of(danube.trigger("deploy"))
    assert (late["status"], late["reason"]) == ("timeout", "environment-timeout")
    assert late["message"] == "no user approved production within 1 s"
