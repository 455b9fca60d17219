"""Verifies provenance as a consumer, in the order of SLSA's "Verifying artifacts": signature, subject, type, builder,
expectations. Nothing of a statement is read before its signature was checked.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from danube_pkg.core.provenance.builders import BUILD_TYPE, KINDS, LOCAL, RELEASE, RELEASE_BUILD_TYPE, builder_uri
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.provenance.release import RELEASE_EXTERNAL
from danube_pkg.core.provenance.sbom import sbom_of
from danube_pkg.core.provenance.statement import PREDICATE_TYPE, STATEMENT_TYPE
from danube_pkg.core.repositories.globs import matches, matches_across
from danube_pkg.core.repositories.urls import canonical
from danube_pkg.kit.records import Record, replace

EXTERNAL = frozenset({"pipeline", "repository", "ref", "script", "parameters", "trigger"})
TRIGGER = frozenset({"type", "actor", "rerunOf", "rebuildOf", "pullRequest", "trusted", "approvedBy"})
"""The external parameters of a job's build type, and those of its trigger: all that a verifier knows."""

_KNOWN = {BUILD_TYPE: EXTERNAL, RELEASE_BUILD_TYPE: RELEASE_EXTERNAL}

Checker = Callable[[SigningKey, bytes, bytes], bool]
"""Whether a signature (second) of data (third) is by that key."""


class Verification(Record):
    """One thing that was checked. detail: what was found, and what was expected where it was refused."""

    name: str
    passed: bool
    detail: str


class StatedSnapshot(Record):
    """What a job must have stated of a snapshot before another one may restore it. step: its sequence. trusted: whether
    the job ran trusted code."""

    job: str
    pipeline: str
    trusted: bool
    step: int
    sha256: str


class FileVerdict(Record):
    """The results for one file, in the order of the checks; the last is the first that failed. builder: its id in a
    statement that passed every check, else ""."""

    checks: tuple[Verification, ...]
    builder: str = ""

    @property
    def verified(self) -> bool:
        return all(one.passed for one in self.checks)


def verify_envelopes(
    envelopes: Sequence[Envelope],
    sha256: str,
    keys: Sequence[SigningKey],
    is_signed_by: Checker,
    expected: Expectations,
) -> FileVerdict:
    """The verdict about content with that hash: that of the first envelope that verifies it, else of the one that came
    furthest. Statements of SBOMs about the same content are named behind it."""
    verdicts = [(one, FileVerdict(tuple(_checks(one, sha256, keys, is_signed_by, expected)))) for one in envelopes]
    envelope, verdict = max(verdicts, key=lambda one: (one[1].verified, _is_of_type(one[1]), len(one[1].checks)))
    if not verdict.verified:
        return verdict
    verdict = FileVerdict((*verdict.checks, *_sboms(envelopes, sha256, keys, is_signed_by, expected)))
    if not verdict.verified:
        return verdict
    predicate = _object(_statement(envelope) or {}, "predicate")
    return replace(verdict, builder=_text(predicate, "runDetails", "builder", "id"))


def _is_of_type(verdict: FileVerdict) -> bool:
    """Not refused for being a statement of another kind."""
    return all(one.passed for one in verdict.checks if one.name == "type")


def _sboms(
    envelopes: Sequence[Envelope],
    sha256: str,
    keys: Sequence[SigningKey],
    is_signed_by: Checker,
    expected: Expectations,
) -> Iterator[Verification]:
    found = 0
    for envelope in envelopes:
        _, statement = signed_statement(envelope, keys, is_signed_by)
        if statement is None or not _subject(statement, sha256).passed:
            continue
        sbom = sbom_of(_object(statement, "predicate"))
        if sbom is not None and statement.get("predicateType") == sbom.predicate_type:
            found += 1
            yield Verification("sbom", True, f"{sbom.title}, {sbom.components} components")
    if not found and expected.require_sbom:
        yield Verification("sbom", False, "no SBOM of it is signed")


def signed_statement(
    envelope: Envelope, keys: Sequence[SigningKey], is_signed_by: Checker
) -> tuple[Verification, Mapping[str, Any] | None]:
    """The check of the signature, and the statement of an envelope that passed it. Every key is tried: the envelope's
    own hint is not authenticated."""
    data = envelope.signed_bytes
    for key in keys:
        if any(is_signed_by(key, one.value, data) for one in envelope.signatures):
            retired = ", which was retired later" if key.retired_at is not None else ""
            found = Verification("signature", True, f"by key {key.id[:16]}{retired}")
            return found, _statement(envelope)
    detail = (
        "the given key has not signed it" if len(keys) == 1 else f"none of the {len(keys)} given keys has signed it"
    )
    return Verification("signature", False, detail), None


def states_subject(
    envelopes: Sequence[Envelope], name: str, sha256: str, keys: Sequence[SigningKey], is_signed_by: Checker
) -> bool:
    """Whether one of the keys has signed build provenance with that subject."""
    for envelope in envelopes:
        _, statement = signed_statement(envelope, keys, is_signed_by)
        if statement is not None and statement.get("predicateType") == PREDICATE_TYPE:
            subjects = _items(statement, "subject")
            if any(one.get("name") == name and _text(one, "digest", "sha256") == sha256 for one in subjects):
                return True
    return False


def states_snapshot(
    envelopes: Sequence[Envelope], snapshot: StatedSnapshot, keys: Sequence[SigningKey], is_signed_by: Checker
) -> bool:
    """Whether one of the keys has signed build provenance of that job by which the step has ended with an authentic
    success and has left exactly that snapshot."""
    for envelope in envelopes:
        _, statement = signed_statement(envelope, keys, is_signed_by)
        if statement is None or statement.get("predicateType") != PREDICATE_TYPE:
            continue
        predicate = _object(statement, "predicate")
        external = _object(predicate, "buildDefinition", "externalParameters")
        details = _object(predicate, "runDetails")
        of_job = (
            _text(details, "metadata", "invocationId"),
            _text(external, "pipeline"),
            _object(external, "trigger").get("trusted") is not False,
        )
        if of_job == (snapshot.job, snapshot.pipeline, snapshot.trusted) and any(
            _is_of_snapshot(one, snapshot) for one in _stated_records(details)
        ):
            return True
    return False


def _stated_records(details: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for one in _items(details, "byproducts"):
        if one.get("name") == "records":
            yield from _items(_object(one, "annotations"), "records")


def _is_of_snapshot(record: Mapping[str, Any], snapshot: StatedSnapshot) -> bool:
    wanted = {
        "kind": "step",
        "sequence": snapshot.step,
        "status": "success",
        "authentic": True,
        "snapshot": snapshot.sha256,
    }
    return all(record.get(name) == value for name, value in wanted.items()) and "restoredFrom" not in record


def _statement(envelope: Envelope) -> Mapping[str, Any] | None:
    """The payload as an object; None where it is not one."""
    if envelope.payload_type != PAYLOAD_TYPE:
        return None
    try:
        found = json.loads(envelope.payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _checks(
    envelope: Envelope, sha256: str, keys: Sequence[SigningKey], is_signed_by: Checker, expected: Expectations
) -> Iterator[Verification]:
    """Ends with the first check that fails."""
    signature, statement = signed_statement(envelope, keys, is_signed_by)
    yield signature
    if not signature.passed:
        return
    if statement is None:
        yield Verification("type", False, f"the payload is not an in-toto statement ({envelope.payload_type!r})")
        return
    for check in (_subject(statement, sha256), *_of_statement(statement, expected)):
        yield check
        if not check.passed:
            return


def _subject(statement: Mapping[str, Any], sha256: str) -> Verification:
    subjects = [one for one in _items(statement, "subject") if _text(one, "digest", "sha256") == sha256]
    if subjects:
        return Verification("subject", True, f"sha256 {sha256[:16]}…, built as {_text(subjects[0], 'name')}")
    count = len(_items(statement, "subject"))
    return Verification("subject", False, f"sha256 {sha256} is none of the {count} hashes that it states")


def _of_statement(statement: Mapping[str, Any], expected: Expectations) -> Iterator[Verification]:
    kinds = _text(statement, "_type"), _text(statement, "predicateType")
    yield Verification("type", kinds == (STATEMENT_TYPE, PREDICATE_TYPE), " with ".join(kinds))
    predicate = _object(statement, "predicate")
    yield _builder(_text(predicate, "runDetails", "builder", "id"), expected)
    build_type = _text(predicate, "buildDefinition", "buildType")
    is_release = _text(predicate, "runDetails", "builder", "id") == builder_uri(RELEASE)
    wanted = RELEASE_BUILD_TYPE if is_release else BUILD_TYPE
    yield Verification("build type", build_type == wanted, build_type)
    external = _object(predicate, "buildDefinition", "externalParameters")
    yield _known(external, _KNOWN[wanted], expected)
    if not is_release:  # which is signed only once it is built
        yield _status(predicate, expected)
    trusted = _object(external, "trigger").get("trusted") is not False
    code = "of the repository's own branches and tags" if trusted else "of a proposal, such as a fork"
    yield Verification("code", trusted or expected.allow_untrusted, code)
    yield _expected("repository", _text(external, "repository"), expected.repositories, _is_repository)
    yield _expected("ref", _text(external, "ref"), expected.refs, matches)
    yield _expected("pipeline", _text(external, "pipeline"), expected.pipelines, lambda one, text: one == text)
    yield _parameters(_object(external, "parameters"), expected)


def _builder(found: str, expected: Expectations) -> Verification:
    known = [builder_uri(kind) for kind in KINDS if kind != LOCAL]
    wanted = [builder_uri(one) if one in KINDS else one for one in expected.builders] or known
    if found in wanted:
        return Verification("builder", True, found)
    return Verification("builder", False, f"{found}, expected {' or '.join(wanted)}")


def _known(external: Mapping[str, Any], known: Collection[str], expected: Expectations) -> Verification:
    unknown = [
        *(external.keys() - known),
        *(f"trigger.{one}" for one in _object(external, "trigger").keys() - TRIGGER),
    ]
    if not unknown:
        return Verification("parameters known", True, f"{len(external)} external parameters")
    detail = f"unknown external parameters: {', '.join(sorted(unknown))}"
    return Verification("parameters known", expected.allow_unknown, detail)


def _status(predicate: Mapping[str, Any], expected: Expectations) -> Verification:
    byproducts = _items(_object(predicate, "runDetails"), "byproducts")
    status = next((_text(one, "annotations", "status") for one in byproducts if one.get("name") == "job"), "")
    job = _text(predicate, "runDetails", "metadata", "invocationId")
    return Verification("status", status == "success" or expected.allow_failed, f"job {job}: {status or 'not stated'}")


def _expected(name: str, found: str, wanted: Sequence[str], fits: Callable[[str, str], bool]) -> Verification:
    if not wanted:
        return Verification(name, True, f"{found} (any)")
    if any(fits(one, found) for one in wanted):
        return Verification(name, True, found)
    return Verification(name, False, f"{found}, expected {' or '.join(wanted)}")


def _is_repository(pattern: str, found: str) -> bool:
    return matches_across(canonical(pattern), canonical(found))


def _parameters(found: Mapping[str, Any], expected: Expectations) -> Verification:
    shown = ", ".join(f"{name}={value}" for name, value in sorted(found.items())) or "none"
    if expected.parameters is None:
        return Verification("parameters", True, f"{shown} (any)")
    if dict(found) == dict(expected.parameters):
        return Verification("parameters", True, shown)
    wanted = ", ".join(f"{name}={value}" for name, value in sorted(expected.parameters.items())) or "none"
    return Verification("parameters", False, f"{shown}, expected {wanted}")


# --- reading a document that may have any form


def _object(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        found = document.get(name)
        document = found if isinstance(found, dict) else {}
    return document


def _items(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(document: Mapping[str, Any], *path: str) -> str:
    found = _object(document, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""
