"""Effects: actions that a transition owes, stored in the same transaction as the state that owes them.

An effect holds no secret and no command: what it needs is read from the job when it is performed. Effects are short and
idempotent, and a job's are performed one after the other; one of an earlier `generation` of its job is skipped.
"""

from enum import StrEnum

from danube_pkg.kit.records import Record


class EffectKind(StrEnum):
    """In the order of a job's life. Each has one handler, in `services/jobs/effects`."""

    CREATE_POD = "create-pod"
    STOP_STEPS = "stop-steps"
    CLOSE_LOG = "close-log"
    SIGN_PROVENANCE = "sign-provenance"
    DELETE_POD = "delete-pod"


class Effect(Record):
    """One owed action. `position` orders a job's effects; with `job_id` it identifies this one."""

    job_id: str
    position: int
    generation: int
    kind: EffectKind
