"""Provenance of a real server's real jobs: verified without the server, also after kills at the moment of signing."""

import json
import random
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.keys.signing import is_signed_by, read_public_key
from danube_pkg.core.provenance.envelope import read_envelopes
from tests.support.server import Installation
from tests.support.waiting import wait_until

PACKAGE = """
from danube import artifacts, pipeline, step

@pipeline(name="package")
def build():
    step.run("mkdir dist && echo built > dist/program && echo notes > notes.txt")
    artifacts.upload("dist", name="package")
    artifacts.upload("notes.txt", name="notes.txt")
"""

KILLS = 100


def verify(danube: Installation, folder: Path, file: str, *words: str) -> dict[str, Any]:
    options = ("--provenance", str(folder / "job.intoto.jsonl"), "--key", str(folder / "keys.json"), "--json")
    found: dict[str, Any] = json.loads(
        danube.command("verify", str(folder / file), *options, *words, check=False).stdout
    )
    return found


@pytest.mark.slow("starts and stops a server, with a whole job between")
def test_what_a_server_has_built_is_verified_without_it(danube: Installation, tmp_path: Path) -> None:
    repository = danube.pipeline("package", PACKAGE)
    danube.serve()
    job_id = danube.trigger("package")
    assert danube.end_of(job_id)["status"] == "success"
    folder = tmp_path / "release"
    folder.mkdir()
    for name, file in (("package", "package.tar.gz"), ("notes.txt", "renamed.txt")):
        danube.command("artifacts", "download", job_id, name, "--output", str(folder / file))
    danube.command("artifacts", "provenance", job_id, "--output", str(folder / "job.intoto.jsonl"))
    danube.command("keys", "export", "--output", str(folder / "keys.json"))
    danube.command("jobs", "export", job_id, "--output", str(folder / "job.tar"))
    danube.stop()
    for file in ("package.tar.gz", "renamed.txt"):
        found = verify(danube, folder, file, "--repository", str(repository), "--builder", "host-image")
        assert found["verified"], found
    assert not verify(danube, folder, "package.tar.gz", "--builder", "sandbox")["verified"]
    with (folder / "package.tar.gz").open("ab") as changed:
        changed.write(b".")
    assert not verify(danube, folder, "package.tar.gz")["verified"]
    exported = ("verify", "--job", str(folder / "job.tar"), "--key", str(folder / "keys.json"), "--json")
    assert json.loads(danube.command(*exported).stdout)["verified"]


DESCRIBED = """
from danube import artifacts, ctx, pipeline, step

BOM = '{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a"}]}'

@pipeline(name="described")
def build():
    step.run("mkdir dist && echo built > dist/program && date +%N > dist/when", name="Build")
    step.run('printf %s "$BOM" > bom.json', env={"BOM": BOM})
    step.run("rm dist/when" if ctx.params.get("same") else "true", name="Same or not")
    artifacts.upload("dist", name="dist", sbom="bom.json")
"""


@pytest.mark.slow("starts a server, with four whole jobs")
def test_a_job_is_rebuilt_and_its_sbom_verified(danube: Installation, tmp_path: Path) -> None:
    repository = danube.pipeline("described", DESCRIBED, params={"same": {"default": ""}})
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "x")):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], cwd=repository, check=True)
    danube.serve()
    job = danube.trigger("described", "--param", "same=yes")
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    danube.command("artifacts", "download", job, "dist", "--output", str(tmp_path / "dist.tar.gz"))
    danube.command("artifacts", "provenance", job, "--output", str(tmp_path / "job.intoto.jsonl"))
    danube.command("keys", "export", "--output", str(tmp_path / "keys.json"))
    found = verify(danube, tmp_path, "dist.tar.gz", "--builder", "host-image", "--require-sbom")
    assert found["files"][0]["checks"][-1]["detail"] == "CycloneDX 1.6, 1 components"
    shown = danube.command("rebuild", job).stdout
    assert "the same: job" in shown, shown
    other = danube.trigger("described")
    assert danube.end_of(other)["status"] == "success", danube.log(other)
    different = danube.command("rebuild", other, check=False)
    assert different.returncode == 1, different.stdout
    assert "dist/when" in different.stdout or "  when" in different.stdout, different.stdout


@pytest.mark.parametrize(
    "kills", [pytest.param(10, marks=pytest.mark.long), pytest.param(KILLS, marks=pytest.mark.fuzz)]
)
def test_a_server_that_is_killed_while_jobs_end_releases_nothing_unsigned(danube: Installation, kills: int) -> None:
    """Each kill is when the log has a random length, its whole one often, since that is when a job is signed. The job
    ends with the next server, signed and released."""
    danube.pipeline("package", PACKAGE)
    danube.serve()
    key = read_public_key(danube.command("keys", "export", "--public").stdout)
    first = danube.trigger("package")
    danube.end_of(first)
    whole, chance = len(danube.log(first).encode()), random.Random(kills)
    for _ in range(kills):
        job_id = danube.trigger("package")
        wanted = chance.choice([chance.randrange(whole), whole])
        wait_until(partial(has_grown, danube, job_id, wanted), 60, "the log to grow")
        danube.kill()
        danube.serve()
        assert danube.end_of(job_id)["status"] == "success"
        (envelope,) = read_envelopes(danube.command("artifacts", "provenance", job_id).stdout.encode())
        assert is_signed_by(key, envelope.signatures[0].value, envelope.signed_bytes)
        subjects = {one["name"]: one["digest"]["sha256"] for one in json.loads(envelope.payload)["subject"]}
        listed = json.loads(danube.command("artifacts", "list", job_id, "--json").stdout)
        assert subjects == {one["file_name"]: one["sha256"] for one in listed}
        assert set(subjects) == {"package.tar.gz", "notes.txt"}


def has_grown(danube: Installation, job_id: str, size: int) -> bool:
    """Whether the log is about so long. The line of the job's end has a duration, which varies by a digit or two."""
    log = danube.data / "logs" / f"{job_id}.log"
    return log.exists() and log.stat().st_size >= size - 3
