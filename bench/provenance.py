"""What it costs that what is built can be proven: the signature at the end of a job, and the verification of a file
beside `sha256sum`."""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

from bench.figures import Figure, median_of, percentile, seconds_of
from danube_pkg.adapters.blobs.directory import BlobDirectory
from danube_pkg.adapters.keys.signing import SigningKeys, read_private_key, signed_envelope
from danube_pkg.adapters.store import SqliteArtifacts
from danube_pkg.core.provenance.statement import statement_of
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.artifacts import Artifacts
from tests.core.provenance.facts import a_job, facts_of
from tests.services.stores import a_job as stored_job
from tests.support.danube_process import DANUBE, ROOT
from tests.support.engine import open_engine_setup

ARTIFACTS, SIGNATURES = 10, 100
FILE_BYTES, PART_BYTES, RUNS = 1024**3, 1024**2, 3


def measure() -> list[Figure]:
    """The figures of this suite."""
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as name:
        return [asyncio.run(_signing(Path(name))), *_verification(Path(name))]


async def _signing(directory: Path) -> Figure:
    """Everything between the closed log of a job and the transaction of its end, which is made without it too."""
    async with open_engine_setup(directory) as setup:
        job = stored_job()
        await setup.jobs.create_jobs([job])
        blobs, clock = BlobDirectory(directory / "artifacts", "artifact"), SystemClock()
        ids = iter(f"artifact-{number}" for number in range(ARTIFACTS))
        artifacts = Artifacts(SqliteArtifacts(setup.database), blobs, clock, lambda: next(ids))
        for number in range(ARTIFACTS):
            await artifacts.receive(job, f"file-{number}", f"file-{number}", _one_chunk(number), lambda: None)
        times = []
        for _ in range(SIGNATURES):
            started = time.perf_counter()
            await setup.statements.signed(job)
            times.append((time.perf_counter() - started) * 1000)
    note = f"{SIGNATURES} times, 99th {percentile(times, 99):.1f} ms"
    return Figure(f"signing a job with {ARTIFACTS} artifacts", percentile(times, 50), "ms", 20, note=note)


async def _one_chunk(number: int) -> AsyncIterator[bytes]:
    yield f"artifact {number}".encode()


def _verification(directory: Path) -> list[Figure]:
    file, provenance, key = directory / "large", directory / "job.intoto.jsonl", directory / "key.pem"
    part = bytes(range(256)) * (PART_BYTES // 256)
    hash_ = sha256()
    with file.open("wb") as made:
        for _ in range(FILE_BYTES // PART_BYTES):
            made.write(part)
            hash_.update(part)
    statement = json.loads(statement_of(facts_of(a_job())))
    statement["subject"] = [{"name": file.name, "digest": {"sha256": hash_.hexdigest()}}]
    keys = SigningKeys.open(directory / "keys-of-verification", SystemClock())
    private = read_private_key(directory / "keys-of-verification" / "signing.key")
    provenance.write_bytes(signed_envelope(private, json.dumps(statement).encode()).encode() + b"\n")
    key.write_text(keys.current.pem)
    verify = [*DANUBE, "verify", str(file), "--provenance", str(provenance), "--key", str(key)]
    hashed = median_of(RUNS, lambda: seconds_of(lambda: _run(["sha256sum", str(file)])))
    verified = median_of(RUNS, lambda: seconds_of(lambda: _run(verify)))
    note = f"sha256sum {hashed:.2f} s, danube verify {verified:.2f} s with its start"
    return [Figure("danube verify of 1 GiB: over sha256sum", verified / hashed, "×", 1.2, note=note)]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
