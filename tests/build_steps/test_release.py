"""The checksums, the signed provenance and the list of contents of a release, as a user verifies them."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import danube_pkg
from build_steps.binary import unproven
from build_steps.sbom import write_sbom
from build_steps.signing import Source, SourceUnclear, sign_release, source_of, write_checksums
from build_steps.staging import ROOT, make_staging
from danube_pkg.adapters.keys.release import RELEASE_KEY_NAME, pinned_key
from danube_pkg.adapters.keys.signing import is_signed_by, public_key_of
from danube_pkg.cli import main as command_line

SOURCE = Source("https://git.example.org/danube.git", "refs/tags/v1.2.0", "a" * 40)
NAMES = ("danube-linux-x86_64", "danube-cp311-x86_64.pyz", "danube-cp311-x86_64.cdx.json")


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def dist(tmp_path: Path, key: Ed25519PrivateKey) -> Path:
    """A signed release of small files, with the public key beside it."""
    made = tmp_path / "dist"
    (made / "bin").mkdir(parents=True)
    for name in NAMES:
        (made / name).write_text(f"content of {name}")
    write_checksums(made)
    sign_release(made, key, SOURCE, "1.2.0")
    (tmp_path / "key.pem").write_text(public_key_of(key.public_key()).pem)
    return made


def verify(dist: Path, name: str, *more: str, key: bool = True) -> int:
    words = ["--key", str(dist.parent / "key.pem")] if key else []
    return command_line.main(
        ["verify", str(dist / name), "--provenance", str(dist / f"{name}.intoto.jsonl"), *words, *more]
    )


@pytest.mark.parametrize("name", [*NAMES, "SHA256SUMS"])
def test_every_file_is_verified_by_the_key_of_the_release(dist: Path, name: str) -> None:
    assert (
        verify(dist, name, "--builder", "release", "--ref", "refs/tags/v*", "--repository", "git.example.org/danube")
        == 0
    )


def test_a_changed_file_another_ref_and_another_builder_are_refused(
    dist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(dist, NAMES[0], "--ref", "refs/tags/v2*") == 1
    assert verify(dist, NAMES[0], "--builder", "sandbox") == 1
    (dist / NAMES[0]).write_text("another content")
    assert verify(dist, NAMES[0]) == 1
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("REFUSED")] == [
        "ref",
        "builder",
        "subject",
    ]


def test_the_statement_names_version_kind_architecture_commit_and_lock_files(dist: Path) -> None:
    envelope = json.loads((dist / f"{NAMES[0]}.intoto.jsonl").read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "repository": SOURCE.repository,
        "ref": SOURCE.ref,
        "version": "1.2.0",
        "artifact": "binary",
        "architecture": "x86_64",
    }
    source, *locks = definition["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": SOURCE.commit_sha}
    assert {"requirements.lock", "web/package-lock.json"} <= {one["name"] for one in locks}


def test_the_same_release_is_signed_with_the_same_bytes(dist: Path, key: Ed25519PrivateKey) -> None:
    before = {path.name: path.read_bytes() for path in dist.iterdir() if path.is_file()}
    sign_release(dist, key, SOURCE, "1.2.0")
    assert {path.name: path.read_bytes() for path in dist.iterdir() if path.is_file()} == before


def test_sha256sum_and_the_signature_of_its_file(dist: Path, key: Ed25519PrivateKey) -> None:
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=dist, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name}: OK" for name in sorted(NAMES)]
    signature = (dist / "SHA256SUMS.sig").read_bytes()
    assert len(signature) == 64
    assert is_signed_by(public_key_of(key.public_key()), signature, (dist / "SHA256SUMS").read_bytes())


def test_without_a_key_verify_takes_the_one_that_the_program_was_built_with(
    dist: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pinned_key() is None
    assert verify(dist, NAMES[1], key=False) == 2
    assert "there is no key to verify with" in capsys.readouterr().err
    tree = make_staging(dist.parent / "staging", {}, None, public_key_of(key.public_key()).pem)
    assert (tree / "danube_pkg" / RELEASE_KEY_NAME).exists()
    monkeypatch.setattr(danube_pkg, "__file__", str(tree / "danube_pkg" / "__init__.py"))
    assert verify(dist, NAMES[1], key=False) == 0


def test_a_tree_that_was_changed_is_not_signed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        words = ("-c", "user.name=n", "-c", "user.email=n@example.org", *words)
        done = subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("tag", "v1.2.0")
    git("remote", "add", "origin", "https://user:secret@git.example.org/danube.git")
    assert source_of(tmp_path) == Source(SOURCE.repository, SOURCE.ref, git("rev-parse", "HEAD"))
    (tmp_path / "new.py").touch()
    with pytest.raises(SourceUnclear, match=r"not that of its commit: \?\? new.py"):
        source_of(tmp_path)


def test_a_danube_job_knows_its_commit_without_git(tmp_path: Path) -> None:
    job = {"DANUBE_COMMIT": "a" * 40, "DANUBE_REF": SOURCE.ref, "DANUBE_REPOSITORY": SOURCE.repository}
    assert source_of(tmp_path, job) == SOURCE
    with pytest.raises(SourceUnclear, match="build from a clone"):
        source_of(tmp_path, {})


def test_the_list_of_contents_has_packages_page_and_libraries_with_versions(tmp_path: Path) -> None:
    site, tree = tmp_path / "site", tmp_path / "tree"
    for name, metadata in {
        "h11-0.16.0": "Name: h11\nVersion: 0.16.0\nLicense: MIT\n",
        "grpcio-1.85.3": "Name: grpcio\nVersion: 1.85.3\nLicense-Expression: Apache-2.0\n",
        "old-1": "Name: Old_One\nVersion: 1\nLicense: a\n text\nClassifier: License :: OSI Approved :: BSD License\n",
    }.items():
        (site / f"{name}.dist-info").mkdir(parents=True)
        (site / f"{name}.dist-info" / "METADATA").write_text(metadata)
    (tree / "python" / "lib").mkdir(parents=True)
    (tree / "python" / "lib" / "libssl.so.3").write_text("x")
    target = write_sbom(site, tree, "1.2.0", tmp_path / "danube.cdx.json")
    document = json.loads(target.read_text())
    found = {one["name"]: one for one in document["components"]}
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert found["h11"]["purl"] == "pkg:pypi/h11@0.16.0"
    assert found["h11"]["licenses"] == [{"expression": "MIT"}]
    assert found["old-one"]["licenses"] == [{"license": {"name": "BSD License"}}]
    assert {"cpython", "libssl.so.3", "solid-js", "musl"} <= found.keys()
    assert "vite" not in found
    assert write_sbom(site, tree, "1.2.0", tmp_path / "again").read_bytes() == target.read_bytes()


def test_the_architecture_of_another_machine_is_named_as_unproven() -> None:
    (line,) = unproven("x86_64")
    assert line == "not built: danube-linux-aarch64; build it on such a machine; unproven, since none was run so far"
    assert "danube-linux-x86_64" in unproven("aarch64")[0]


def test_the_command_refuses_to_sign_without_a_key() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'sdk'}:{ROOT}"}
    words = [sys.executable, "build.py", "provenance"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "provenance needs --signing-key FILE; make one: openssl genpkey -algorithm ed25519 -out FILE" in done.stderr
