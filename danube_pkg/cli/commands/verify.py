"""`danube verify`: whether files were built as their provenance says, by an expected builder, from expected code.

It works offline, and trusts nothing but the given key. Exit codes: 0 verified, 1 refused, 2 usage, 3 unreadable.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from danube_pkg import __version__
from danube_pkg.adapters.configuration.marked_yaml import parse_yaml
from danube_pkg.adapters.keys.release import pinned_key
from danube_pkg.adapters.keys.signing import is_signed_by, read_private_key, signed_envelope
from danube_pkg.cli.exported_job import read_exported_job
from danube_pkg.cli.file_output import write_output
from danube_pkg.cli.output import painted, print_json, print_table, say
from danube_pkg.cli.trusted_keys import read_keys
from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.documents.records import read_record
from danube_pkg.core.errors import ConfigurationInvalid, Invalid, Permanent
from danube_pkg.core.provenance.envelope import read_envelopes
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.provenance.sealed_job import verify_sealed_job
from danube_pkg.core.provenance.summary import Summary, VerifiedFile, statement_of_summary
from danube_pkg.core.provenance.verification import FileVerdict, verify_envelopes
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.digests import Digest, digest_of, digest_of_file
from danube_pkg.kit.records import replace, to_builtins

_IMAGE = re.compile(r"[^@]*@sha256:([0-9a-f]{64})")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="a file, a directory, or IMAGE@sha256:DIGEST")
    parser.add_argument("--job", metavar="FILE", help="verify the records of a job, from: danube jobs export")
    parser.add_argument("--provenance", metavar="FILE", help="the .intoto.jsonl file, or a Sigstore bundle")
    parser.add_argument(
        "--key",
        metavar="FILE",
        help="the public key: PEM, or the file of: danube keys export (else the key of Danube's own releases)",
    )
    parser.add_argument("--policy", metavar="FILE", help="a YAML file with what is expected")
    parser.add_argument("--repository", metavar="URL", help="the repository that it must be built from")
    parser.add_argument("--ref", metavar="REF", help="the ref, as refs/heads/main or refs/tags/v*")
    parser.add_argument("--builder", metavar="ID", help="the builder: a URI, or sandbox, host-image, open-network")
    parser.add_argument("--require-sbom", action="store_true", help="refuse what has no signed SBOM")
    parser.add_argument("--allow-failed", action="store_true", help="accept artifacts of jobs that failed")
    parser.add_argument("--allow-untrusted", action="store_true", help="accept artifacts of approved forks")
    parser.add_argument("--allow-unknown", action="store_true", help="accept unknown external parameters")
    summary = parser.add_argument_group("a signed summary of the result (VSA)")
    summary.add_argument("--vsa", metavar="FILE", help="write it, also if a file is refused")
    summary.add_argument("--vsa-key", metavar="FILE", help="the private key that signs it: Ed25519, PEM")
    summary.add_argument("--verifier", metavar="URI", help="who verifies")
    summary.add_argument("--resource", metavar="URI", help="where the files are fetched, as https:// or pkg:")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    if options.job:
        return _main_job(options)
    if not options.files or not options.provenance:
        raise Invalid(
            "nothing-to-verify",
            "name a file and its provenance",
            hint="danube verify FILE --provenance P --key K, or danube verify --job FILE --key K",
        )
    signer = _summary_key(options)
    provenance = _read(options.provenance)
    envelopes = read_envelopes(provenance)
    keys = _keys(options.key)
    expected = _expectations(options)
    found = [
        VerifiedFile(name, sha256, verify_envelopes(envelopes, sha256, keys, is_signed_by, expected))
        for name, sha256 in _contents(options.files, (options.provenance, options.key or ""))
    ]
    if not found:
        raise Permanent("nothing-to-verify", "there is no file in the directory", hint="name the artifact's file")
    if signer is not None:
        _write_summary(options, signer, found, expected, digest_of(provenance))
    verified = all(one.verdict.verified for one in found)
    if options.json:
        print_json({"verified": verified, "files": [_document(one) for one in found]})
        return 0 if verified else 1
    for one in found:
        _print(one.name, one.verdict)
    return 0 if verified else 1


def _summary_key(options: argparse.Namespace) -> Ed25519PrivateKey | None:
    """The key of a summary that is wanted. Raises Invalid for a summary that lacks something, before anything is
    read."""
    given = (options.vsa, options.vsa_key, options.verifier, options.resource)
    if not any(given):
        return None
    if not all(given):
        raise Invalid(
            "summary-incomplete",
            "a summary needs --vsa, --vsa-key, --verifier and --resource",
            hint="danube verify FILE --provenance P --key K --vsa OUT --vsa-key PRIVATE.pem --verifier URI --resource URI",
        )
    try:
        return read_private_key(Path(options.vsa_key))
    except OSError as error:
        raise _unreadable(options.vsa_key, error) from error


def _write_summary(
    options: argparse.Namespace,
    signer: Ed25519PrivateKey,
    files: Sequence[VerifiedFile],
    expected: Expectations,
    provenance: Digest,
) -> None:
    named = [replace(one, name=Path(one.name).name) for one in files]
    attestation = (Path(options.provenance).name, provenance)
    at = SystemClock().now()
    summary = Summary(options.verifier, options.resource, named, expected, attestation, at, __version__)
    write_output(options.vsa, signed_envelope(signer, statement_of_summary(summary)).encode() + b"\n")


def _main_job(options: argparse.Namespace) -> int:
    if options.files or options.provenance:
        what = "an exported job has its own provenance"
        raise Invalid("job-and-files", what, hint="danube verify --job FILE --key K")
    verdict = verify_sealed_job(read_exported_job(options.job), _keys(options.key), is_signed_by)
    if options.json:
        print_json({"verified": verdict.verified, "checks": [to_builtins(one) for one in verdict.checks]})
    else:
        _print(options.job, verdict)
    return 0 if verdict.verified else 1


def _keys(name: str | None) -> Sequence[SigningKey]:
    """Those of the file, else the key that this program was built with."""
    if name is not None:
        return read_keys(name)
    pinned = pinned_key()
    if pinned is None:
        raise Invalid(
            "no-key",
            "there is no key to verify with",
            cause="this Danube was built without a key of releases",
            hint="--key FILE; get it from the server: danube keys export --output FILE",
        )
    return [pinned]


def _document(file: VerifiedFile) -> dict[str, object]:
    checks = [to_builtins(one) for one in file.verdict.checks]
    return {"file": file.name, "sha256": file.sha256, "verified": file.verdict.verified, "checks": checks}


def _print(name: str, verdict: FileVerdict) -> None:
    say(f" {name}", lead=painted("verified", "32") if verdict.verified else painted("refused", "31"))
    rows = [("ok" if one.passed else "REFUSED", one.name, one.detail) for one in verdict.checks]
    print_table(("RESULT", "CHECK", "FOUND"), rows)


def _contents(words: Sequence[str], own: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, SHA-256) of each file; those of a directory without the provenance and the key themselves."""
    skipped = {Path(one).resolve() for one in own}
    for word in words:
        path = Path(word)
        if not path.exists() and (image := _IMAGE.fullmatch(word)):
            yield word, image[1]
        elif path.is_dir():
            for one in sorted(path.rglob("*")):
                if one.is_file() and one.resolve() not in skipped:
                    yield str(one), _digest(one)
        else:
            yield word, _digest(path)


def _digest(path: Path) -> str:
    try:
        path.stat()
        return digest_of_file(path).sha256
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> Permanent:
    cause = error.strerror or str(error)
    return Permanent("file-unreadable", f"{name} cannot be read", cause=cause, hint=f"check it: ls -l {name}")


def _expectations(options: argparse.Namespace) -> Expectations:
    """Those of the policy, with the options in place of its keys."""
    expected = _policy(options.policy) if options.policy else Expectations()
    return replace(
        expected,
        repositories=(options.repository,) if options.repository else expected.repositories,
        refs=(options.ref,) if options.ref else expected.refs,
        builders=(options.builder,) if options.builder else expected.builders,
        require_sbom=options.require_sbom or expected.require_sbom,
        allow_failed=options.allow_failed or expected.allow_failed,
        allow_untrusted=options.allow_untrusted or expected.allow_untrusted,
        allow_unknown=options.allow_unknown or expected.allow_unknown,
    )


def _policy(name: str) -> Expectations:
    findings = Findings()
    documents = parse_yaml(_read(name), name, findings)
    found = read_record(Expectations, documents[0], findings) if len(documents) == 1 and not findings else None
    if findings:
        raise ConfigurationInvalid(findings.sorted())
    if found is None:
        raise Invalid("policy-invalid", f"{name} is not one YAML document", hint="see docs/verify.md for an example")
    return found
