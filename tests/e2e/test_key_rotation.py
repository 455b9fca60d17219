"""The signing key is rotated while fifty jobs run and end: each is signed by one key that verifiers know, an old one or
the new one, and what either has signed is verified."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from danube_pkg.adapters.keys.signing import is_signed_by, read_public_key
from danube_pkg.core.provenance.envelope import Envelope, read_envelopes
from danube_pkg.core.provenance.keys import SigningKey
from tests.support.server import Installation
from tests.support.waiting import wait_until

JOBS = 50

SECONDS = 1800
"""For fifty jobs at once on a busy machine; a quiet one takes a tenth."""

CONFIGURATION = f"""
apiVersion: danube.dev/v1
kind: Config
metadata: {{name: global}}
spec: {{max_concurrent_jobs: {JOBS}}}
"""

WAITS = """
from danube import artifacts, ctx, pipeline, step

@pipeline(name="waits")
def build():
    step.run(f"echo built by {ctx.job_id} > out; until [ -e go ]; do sleep 1; done")
    artifacts.upload("out", name="out")
"""


def statement_of(danube: Installation, job_id: str) -> Envelope:
    """The one statement about a job, which succeeded."""
    assert danube.job(job_id)["status"] == "success", danube.log(job_id)
    (envelope,) = read_envelopes(danube.command("artifacts", "provenance", job_id).stdout.encode())
    return envelope


def verified_by(danube: Installation, job_id: str, keys: str) -> bool:
    """Whether a consumer with that file of keys accepts the job's artifact."""
    file, provenance = danube.path / f"{job_id}.out", danube.path / f"{job_id}.intoto.jsonl"
    danube.command("artifacts", "download", job_id, "out", "--output", str(file))
    danube.command("artifacts", "provenance", job_id, "--output", str(provenance))
    words = ("verify", str(file), "--provenance", str(provenance), "--key", keys, "--json")
    return bool(json.loads(danube.command(*words, check=False).stdout)["verified"])


def public_key(danube: Installation) -> SigningKey:
    return read_public_key(danube.command("keys", "export", "--public").stdout)


@pytest.mark.long
def test_fifty_jobs_end_while_the_key_is_rotated(danube: Installation) -> None:
    (danube.config / "config.yaml").write_text(CONFIGURATION)
    danube.pipeline("waits", WAITS)
    danube.serve()
    jobs = [danube.trigger("waits") for _ in range(JOBS)]
    wait_until(lambda: all(one["status"] == "running" for one in danube.jobs()), SECONDS, "all jobs to run")
    wait_until(lambda: all(written(danube, one) for one in jobs), SECONDS, "the step of every job")
    keys, before = [public_key(danube)], str(danube.path / "before.json")
    danube.command("keys", "export", "--output", before)
    for group in (jobs[: JOBS // 2], jobs[JOBS // 2 :]):
        for job_id in group:
            (danube.workspace(job_id) / "go").touch()
        wait_until(partial(has_ended, danube, group, any), SECONDS, "the first of them to end")
        danube.command("keys", "rotate")
        keys.append(public_key(danube))
        wait_until(partial(has_ended, danube, group, all), SECONDS, "all of them to end")
    after = str(danube.path / "after.json")
    danube.command("keys", "export", "--output", after)
    assert [one["keyid"] for one in json.loads(Path(after).read_text())["keys"]] == [one.id for one in reversed(keys)]
    signers: dict[str, str] = {}
    for job_id in jobs:
        envelope = statement_of(danube, job_id)
        (signer,) = (one.id for one in keys if is_signed_by(one, envelope.signatures[0].value, envelope.signed_bytes))
        assert signer == envelope.signatures[0].key_id
        signers[signer] = job_id
    assert {keys[0].id, keys[1].id} <= set(signers) <= {one.id for one in keys}
    for signer, job_id in signers.items():
        assert verified_by(danube, job_id, after)
        assert verified_by(danube, job_id, before) is (signer == keys[0].id)


def written(danube: Installation, job_id: str) -> bool:
    """Whether the job's step waits."""
    return any((directory / "workspace" / "out").exists() for directory in danube.pod_directories(job_id))


def has_ended(danube: Installation, jobs: Sequence[str], which: Callable[[Iterable[bool]], bool]) -> bool:
    """Whether any or all of these jobs have ended. which: `any` or `all`."""
    ended = {one["id"] for one in danube.jobs() if one["status"] not in ("pending", "running")}
    return which(one in ended for one in jobs)
