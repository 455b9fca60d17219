"""A job with one of everything, whose statement is the example of the buildType's page."""

from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.jobs.environment_approvals import ApprovalState, EnvironmentApproval
from danube_pkg.core.jobs.events import StepEnd
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.sealed_records import EGRESS, LOG, attempt_record, file_record, with_record
from danube_pkg.core.jobs.steps import Step, StepPhase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.provenance.statement import JobFacts
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision, SubmoduleCommit
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.core.secrets.secret import SecretUse
from danube_pkg.kit.digests import digest_of
from danube_pkg.kit.records import replace

AT = 1_796_000_000.0
ARTIFACT = b"what was built\n"
LOG_TEXT = b'--- step 1 "build" (node:20)\n'
LEDGER_TEXT = b'{"job":"01kc0"}\n'


APPROVAL = EnvironmentApproval(
    1, "production", AT + 2, AT + 600, ApprovalState.GRANTED, "grace@example.org", AT + 2, "reviewed"
)


def a_step(sequence: int = 1, image: str = "node:20", digest: str = "sha256:" + "ab" * 32) -> Step:
    """An ended step."""
    end = StepEnd(Status.SUCCESS, exit_code=0, wall_us=1_500_000, output_bytes=12, output_hash="cd" * 32)
    return Step(
        id=f"01kc0-{sequence:04}",
        sequence=sequence,
        name="build",
        image=image,
        container=1,
        image_digest=digest,
        phase=StepPhase.ENDED,
        status=Status.SUCCESS,
        started_at=AT + 2,
        finished_at=AT + 4,
        end=end,
    )


LIBRARY = SubmoduleCommit("vendor/library", "https://git.example.org/shop/library.git", "5eed" + "0" * 36)


def a_job(*steps: Step, **settings: object) -> Job:
    """A job of those steps in the phase SIGNING, with its records sealed."""
    steps = steps or (a_step(),)
    trigger = Trigger(
        "webhook",
        "github:ada",
        Revision("c0ffee" + "0" * 34, "refs/heads/main", "main", submodules=(LIBRARY,)),
        params={"target": "production"},
    )
    pipeline = PipelineSettings(
        "https://user:password@git.example.org/shop/web.git",
        image="node:20",
        network=Network.ALLOWLIST,
        egress_allowlist=("packages.example.org:443",),
    )
    job = Job(
        id="01kc0",
        pipeline_id="p1",
        pipeline="web",
        trigger=trigger,
        settings=replace(pipeline, **settings),  # type: ignore[arg-type]
        created_at=AT,
        phase=Phase.SIGNING,
        status=Status.RUNNING,
        outcome=Status.SUCCESS,
        reason=Reason.NONE,
        started_at=AT + 1,
        finished_at=AT + 5,
        configuration="beef" * 10,
        egress_enforced_by="no-route",
        steps=steps,
        approvals=(APPROVAL,),
    )
    for step in steps:
        assert step.end is not None
        job = replace(job, records=with_record(job.id, job.records, attempt_record(step, step.end, AT + 4)))
    records = with_record(job.id, job.records, file_record(LOG, digest_of(LOG_TEXT)))
    return replace(job, records=with_record(job.id, records, file_record(EGRESS, digest_of(LEDGER_TEXT))))


def facts_of(job: Job, *artifacts: Artifact, runtime: str = "sandbox") -> JobFacts:
    """The facts of that job. artifacts: the built package where none are given."""
    built = Artifact("a1", job.id, "package", "package.tar.gz", 15, digest_of(ARTIFACT).sha256, AT + 3)
    return JobFacts(
        job=job,
        artifacts=artifacts or (built,),
        secrets=(SecretUse("web/NPM_TOKEN", AT + 2),),
        configuration="https://git.example.org/ops/danube-config.git",
        runtime=runtime,
        version="0.1.0",
    )
