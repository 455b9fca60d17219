"""The statement about a job: what it says, what it leaves out, and that independent readers accept its form."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement

from danube_pkg.core.egress.canaries import EnforcedBy
from danube_pkg.core.images.pushed import PushedImage
from danube_pkg.core.jobs.job import COORDINATOR_SEQUENCE
from danube_pkg.core.jobs.sealed_records import end_of_chain
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.provenance.builders import KINDS, builder_of, builder_uri
from danube_pkg.core.provenance.statement import JobFacts, statement_of
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network
from danube_pkg.kit.records import replace
from tests.core.provenance.facts import a_job, a_step, facts_of

DOCS = Path(__file__).resolve().parents[3] / "docs"


def stated(facts: JobFacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(statement_of(facts))
    return found


def test_the_example_of_the_build_type_is_what_is_stated() -> None:
    example = json.loads((DOCS / "buildtypes" / "pipeline-v1.json").read_text())
    assert stated(facts_of(a_job())) == example


def test_the_same_records_give_the_same_bytes() -> None:
    assert statement_of(facts_of(a_job())) == statement_of(facts_of(a_job()))


def test_in_toto_reads_the_statement_and_slsa_the_predicate() -> None:
    """Both strictly: an unknown field is an error."""
    document = stated(facts_of(a_job()))
    statement = json_format.ParseDict(document, Statement([], "", {}).pb)
    Statement.copy_from_pb(statement).validate()
    provenance = json_format.ParseDict(document["predicate"], Provenance())
    assert provenance.run_details.builder.id == builder_uri("sandbox")
    assert provenance.run_details.metadata.started_on.seconds == 1_796_000_001
    assert [one.name for one in provenance.build_definition.resolved_dependencies] == [
        "source",
        "submodule",
        "configuration",
        "image",
    ]


def test_a_login_in_a_url_and_the_hash_of_raw_output_are_left_out() -> None:
    text = statement_of(facts_of(a_job())).decode()
    assert "password" not in text
    assert "cd" * 32 not in text


def test_a_job_without_artifacts_is_stated_by_its_log() -> None:
    facts = replace(facts_of(a_job()), artifacts=())
    (subject,) = stated(facts)["subject"]
    log = stated(facts)["predicate"]["runDetails"]["byproducts"][1]
    assert (subject["name"], subject["digest"]) == ("01kc0.log", log["digest"])


def test_a_failed_job_says_so() -> None:
    job = replace(a_job(), outcome=Status.FAILURE, reason=Reason.STEP_FAILED)
    byproduct = stated(facts_of(job))["predicate"]["runDetails"]["byproducts"][0]
    assert byproduct["annotations"] == {"status": "failure", "reason": "step-failed"}


def test_the_chain_of_records_ends_in_the_statement() -> None:
    job = a_job(a_step(1), a_step(2, "alpine:3", "sha256:" + "ef" * 32))
    byproducts = stated(facts_of(job))["predicate"]["runDetails"]["byproducts"]
    sealed = next(one for one in byproducts if one["name"] == "records")
    assert sealed["digest"]["sha256"] == end_of_chain(job.id, job.records)
    assert [one["kind"] for one in sealed["annotations"]["records"]] == ["step", "step", "log", "egress"]


def test_each_image_is_named_once_by_its_digest_and_the_coordinators_is_not_the_jobs() -> None:
    program = replace(a_step(COORDINATOR_SEQUENCE, HOST_IMAGE, ""))
    job = a_job(program, a_step(1), a_step(2), a_step(3, "alpine:3", "sha256:" + "ef" * 32))
    found = stated(facts_of(job))["predicate"]["buildDefinition"]["resolvedDependencies"]
    images = {one["uri"]: one["digest"]["sha256"] for one in found if one["name"] == "image"}
    assert images == {"oci://node:20": "ab" * 32, "oci://alpine:3": "ef" * 32}


def test_a_directory_without_git_has_no_digest() -> None:
    job = a_job(repository="/srv/project")
    job = replace(job, trigger=Trigger("manual", "me", Revision()), configuration="not a commit")
    source, configuration = stated(facts_of(job))["predicate"]["buildDefinition"]["resolvedDependencies"][:2]
    assert source == {"name": "source", "uri": "git+/srv/project"}
    assert "digest" not in configuration


def test_a_pull_request_and_a_rerun_are_external_parameters() -> None:
    proposal = {"number": 7, "fork": True, "trusted": False, "target_branch": "main", "labels": ["a"]}
    trigger = Trigger("webhook", "mallory", pull_request=proposal, rerun_of="01abc", approved_by="ada@example.org")
    found = stated(facts_of(replace(a_job(), trigger=trigger)))["predicate"]["buildDefinition"]["externalParameters"]
    assert found["trigger"] == {
        "type": "webhook",
        "actor": "mallory",
        "rerunOf": "01abc",
        "pullRequest": {"number": 7, "fork": True, "trusted": False, "target_branch": "main"},
        "trusted": False,
        "approvedBy": "ada@example.org",
    }


@pytest.mark.parametrize(
    ("network", "image", "runtime", "is_local", "kind"),
    [
        (Network.ALLOWLIST, "node:20", "sandbox", False, "sandbox"),
        (Network.NONE, "node:20", "sandbox", False, "sandbox"),
        (Network.NONE, "node:20", "kubernetes", False, "kubernetes"),
        (Network.NONE, HOST_IMAGE, "sandbox", False, "host-image"),
        (Network.HOST, "node:20", "sandbox", False, "open-network"),
        (Network.LEARN, HOST_IMAGE, "sandbox", False, "open-network"),
        (Network.NONE, "node:20", "sandbox", True, "local"),
    ],
)
def test_each_kind_of_run_has_a_builder_of_its_own(
    network: Network, image: str, runtime: str, is_local: bool, kind: str
) -> None:
    program = a_step(COORDINATOR_SEQUENCE, HOST_IMAGE, "")
    job = a_job(program, a_step(1, image), network=network)
    assert builder_of(job, runtime, is_local=is_local) == builder_uri(kind)


def test_a_job_that_could_pass_by_the_proxy_has_another_builder() -> None:
    for seen, kind in ((EnforcedBy.NOTHING, "open-network"), (EnforcedBy.NETWORK_POLICY, "kubernetes")):
        job = replace(a_job(), egress_enforced_by=seen)
        assert builder_of(job, "kubernetes", is_local=False) == builder_uri(kind)
        assert stated(facts_of(job))["predicate"]["buildDefinition"]["internalParameters"]["egressEnforcedBy"] == seen


def test_every_uri_has_its_page() -> None:
    assert [kind for kind in KINDS if not (DOCS / "builders" / f"{kind}-v1.md").exists()] == []
    assert all((DOCS / "buildtypes" / f"{name}-v1.md").exists() for name in ("pipeline", "release"))


def test_pushed_images_are_subjects_beside_artifacts() -> None:
    facts = facts_of(a_job())
    image = PushedImage(facts.job.id, "registry.test:5000/app/web:1", f"sha256:{'a' * 64}", 2, 0.0)
    subjects = json.loads(statement_of(replace(facts, images=(image,))))["subject"]
    assert [one["name"] for one in subjects] == ["package.tar.gz", "registry.test:5000/app/web:1"]
    assert subjects[1]["digest"] == {"sha256": "a" * 64}
    only_image = json.loads(statement_of(replace(facts, artifacts=(), images=(image,))))["subject"]
    assert [one["name"] for one in only_image] == ["registry.test:5000/app/web:1"]
