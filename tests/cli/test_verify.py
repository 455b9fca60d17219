"""`danube verify`, offline: exit codes, renamed files, directories, policies."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding, read_envelopes
from danube_pkg.core.provenance.sbom import read_sbom, sbom_statement
from danube_pkg.core.provenance.statement import statement_of
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from tests.cli.shell import Shell
from tests.core.provenance.facts import ARTIFACT, a_job, facts_of
from tests.core.provenance.flips import FLIPS, flipped
from tests.core.provenance.test_sbom import CYCLONEDX


class Release:
    """A folder with an artifact, its provenance and the key, as a consumer has them."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.path = shell.home / "release"
        self.path.mkdir()
        (self.path / "package.tar.gz").write_bytes(ARTIFACT)
        self.keys = SigningKeys.open(shell.home / "keys", SystemClock())
        self.key.write_text(self.keys.current.pem)

    @property
    def key(self) -> Path:
        return self.path / "key.pem"

    @property
    def provenance(self) -> Path:
        return self.path / "job.intoto.jsonl"

    async def sign(self, job: Job | None = None) -> Envelope:
        payload = statement_of(facts_of(job or a_job()))
        signature = await self.keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        envelope = Envelope(payload, PAYLOAD_TYPE, (signature,))
        self.provenance.write_bytes(envelope.encode() + b"\n")
        return envelope

    async def verify(self, *words: str, code: int = 0, given: Sequence[str] = ("release/package.tar.gz",)) -> str:
        options = ("--provenance", str(self.provenance), "--key", str(self.key))
        return await self.shell.danube("verify", *given, *options, *words, code=code)


@pytest.fixture
async def release(shell: Shell) -> Release:
    made = Release(shell)
    await made.sign()
    return made


async def test_a_file_is_verified_and_the_table_says_what_was_checked(release: Release) -> None:
    shown = await release.verify("--repository", "https://git.example.org/shop/web", "--ref", "refs/heads/main")
    assert "verified release/package.tar.gz" in shown
    lines = {line.split()[1]: line for line in shown.splitlines()[1:]}
    assert "built as package.tar.gz" in lines["subject"]
    assert "builders/sandbox/v1" in lines["builder"]
    assert "job 01kc0: success" in lines["status"]
    assert "target=production (any)" in lines["parameters"] or "target=production" in shown


async def test_a_renamed_file_a_bundle_and_the_exported_keys(release: Release) -> None:
    (release.path / "package.tar.gz").rename(release.path / "other name.tgz")
    envelope = await release.sign()
    release.provenance.write_text(json.dumps(envelope.bundle(), indent=2))
    keys = {"keys": [{"keyid": "x", "public_key": one.pem, "retired_at": None} for one in release.keys.public_keys()]}
    release.key.write_text(json.dumps(keys))
    assert "verified" in await release.verify(given=["release/other name.tgz"])


async def test_a_directory_is_verified_file_by_file(release: Release) -> None:
    found = json.loads(await release.verify("--json", given=["release"]))
    assert [(Path(one["file"]).name, one["verified"]) for one in found["files"]] == [("package.tar.gz", True)]
    (release.path / "deep").mkdir()
    (release.path / "deep" / "foreign").write_bytes(b"not built by the job")
    await release.verify(given=["release"], code=1)


async def test_an_image_is_verified_by_its_digest(release: Release) -> None:
    digest = sha256(ARTIFACT).hexdigest()
    assert "verified" in await release.verify(given=[f"registry.example.org/web@sha256:{digest}"])
    await release.verify(given=[f"registry.example.org/web@sha256:{'0' * 64}"], code=1)


async def test_a_changed_file_is_refused_with_exit_code_1(release: Release) -> None:
    with (release.path / "package.tar.gz").open("ab") as file:
        file.write(b".")
    found = await release.shell.danube(
        "verify", "release/package.tar.gz", "--provenance", str(release.provenance), "--key", str(release.key), code=1
    )
    assert found == ""


async def test_a_failed_job_is_refused_unless_it_is_allowed(release: Release) -> None:
    await release.sign(replace(a_job(), outcome=Status.FAILURE, reason=Reason.STEP_FAILED))
    await release.verify(code=1)
    assert "job 01kc0: failure" in await release.verify("--allow-failed")


async def test_a_signed_sbom_is_shown_and_may_be_required(release: Release) -> None:
    assert "sbom" not in await release.verify()
    await release.verify("--require-sbom", code=1)
    for digest, found in ((sha256(ARTIFACT).hexdigest(), True), ("0" * 64, False)):
        await release.sign()
        payload = sbom_statement("package.tar.gz", digest, read_sbom(json.dumps(CYCLONEDX).encode()))
        signature = await release.keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        with release.provenance.open("ab") as file:
            file.write(Envelope(payload, PAYLOAD_TYPE, (signature,)).encode() + b"\n")
        shown = await release.verify("--require-sbom", code=0 if found else 1)
        assert ("CycloneDX 1.6, 1 components" in shown) is found


async def test_a_policy(release: Release) -> None:
    policy = release.shell.home / "policy.yaml"
    policy.write_text(
        "repositories: [git.example.org/shop/*]\nrefs: [refs/heads/main]\nbuilders: [sandbox]\n"
        "pipelines: [web]\nparameters: {target: production}\n"
    )
    await release.verify("--policy", str(policy))
    await release.verify("--policy", str(policy), "--ref", "refs/tags/v1", code=1)
    policy.write_text("refs: [refs/tags/*]\n")
    await release.verify("--policy", str(policy), code=1)
    policy.write_text("reffs: [main]\n")
    assert "refs" in await release.verify("--policy", str(policy), code=2)
    policy.write_text("")
    await release.verify("--policy", str(policy), code=2)


async def test_what_cannot_be_read_is_exit_code_3(release: Release) -> None:
    assert "absent cannot be read" in await release.verify(given=["absent"], code=3)
    release.key.write_text("no key")
    assert "danube keys export" in await release.verify(code=3)
    release.key.write_text(release.keys.current.pem)
    release.provenance.write_text("no envelope")
    assert "danube artifacts provenance" in await release.verify(code=3)
    release.provenance.unlink()
    await release.verify(code=3)
    await release.shell.danube("verify", "release/package.tar.gz", code=2)


def test_the_example_for_other_tools_verifies_what_a_server_signs(tmp_path: Path) -> None:
    """The Python of docs/verify.md, as it stands there, in a folder with the files that it names."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "verify.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    keys = SigningKeys.open(tmp_path / "keys", SystemClock())
    payload = statement_of(facts_of(a_job()))
    signature = asyncio.run(keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload)))
    (tmp_path / "package.intoto.jsonl").write_bytes(Envelope(payload, PAYLOAD_TYPE, (signature,)).encode())
    (tmp_path / "key.pem").write_text(keys.current.pem)
    command = [sys.executable, "-c", example]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    (tmp_path / "key.pem").write_text(SigningKeys.open(tmp_path / "other", SystemClock()).current.pem)
    assert subprocess.run(command, cwd=tmp_path, check=False, timeout=60, capture_output=True).returncode != 0


async def test_the_policy_of_the_documentation_is_one(release: Release) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "verify.md").read_text()
    policy = release.shell.home / "policy.yaml"
    policy.write_text(text.partition("```yaml\n")[2].partition("```")[0].replace("refs/tags/v*", "refs/heads/main"))
    assert "verified" in await release.verify("--policy", str(policy))


SUMMARY = ("--verifier", "https://verifier.example.org", "--resource", "pkg:generic/package@1")


async def test_a_summary_is_signed_with_the_verifiers_own_key(release: Release) -> None:
    own = SigningKeys.open(release.shell.home / "own", SystemClock())
    private, written = release.shell.home / "own" / "signing.key", release.path / "vsa.jsonl"
    words = ("--vsa", str(written), "--vsa-key", str(private), *SUMMARY)
    await release.verify(*words)
    (envelope,) = read_envelopes(written.read_bytes())
    assert is_signed_by(own.current, envelope.signatures[0].value, envelope.signed_bytes)
    statement = json.loads(envelope.payload)
    assert statement["subject"] == [{"name": "package.tar.gz", "digest": {"sha256": sha256(ARTIFACT).hexdigest()}}]
    assert statement["predicate"]["verificationResult"] == "PASSED"
    assert statement["predicate"]["verifiedLevels"] == ["SLSA_BUILD_LEVEL_3"]
    await release.verify(*words, "--ref", "refs/tags/none", code=1)
    refused = json.loads(read_envelopes(written.read_bytes())[0].payload)["predicate"]
    assert (refused["verificationResult"], refused["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert "needs --vsa, --vsa-key" in await release.verify("--vsa", str(written), code=2)
    assert "cannot be read" in await release.verify("--vsa", "x", "--vsa-key", "missing", *SUMMARY, code=3)


SLSA_VERIFIER = os.environ.get("DANUBE_TEST_SLSA_VERIFIER", "")
"""The path of a slsa-verifier program, which no registry of this project's dependencies has."""


@pytest.mark.long
@pytest.mark.parametrize("program", [SLSA_VERIFIER] if SLSA_VERIFIER else [])
async def test_slsa_verifier_accepts_a_summary_and_refuses_two_hundred_flipped_bits(
    release: Release, program: str
) -> None:
    own = SigningKeys.open(release.shell.home / "own", SystemClock())
    private, written = release.shell.home / "own" / "signing.key", release.path / "vsa.jsonl"
    (release.path / "own.pem").write_text(own.current.pem)
    await release.verify("--vsa", str(written), "--vsa-key", str(private), *SUMMARY)

    def accepts(level: str) -> bool:
        words = [program, "verify-vsa", "--attestation-path", str(written)]
        words += ["--subject-digest", f"sha256:{sha256(ARTIFACT).hexdigest()}", "--verifier-id", SUMMARY[1]]
        words += ["--resource-uri", SUMMARY[3], "--verified-level", level]
        words += ["--public-key-path", str(release.path / "own.pem"), "--public-key-id", own.current.id]
        return subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0

    assert await asyncio.to_thread(accepts, "SLSA_BUILD_LEVEL_3")
    document, rng = json.loads(written.read_bytes()), Random(17)
    for _ in range(FLIPS):
        changed = flipped(document, rng)
        written.write_text(json.dumps(changed))
        assert not await asyncio.to_thread(accepts, "SLSA_BUILD_LEVEL_3"), changed
