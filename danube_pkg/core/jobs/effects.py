"""What the engine owes the outside world after a transition; stored in the same transaction as the state that owes it.

An effect names no secret and carries no command: everything it needs is read from the job when it is performed. Effects
are short, idempotent and serial per job; one whose `generation` is not the job's any more is skipped, never performed late.
"""

from enum import StrEnum

from danube_pkg.kit.records import Record


class EffectKind(StrEnum):
    """In the order of a job's life. Later ones (statuses, provenance) will stand in the same table."""

    CREATE_POD = "create-pod"
    STOP_STEPS = "stop-steps"
    CLOSE_LOG = "close-log"
    DELETE_POD = "delete-pod"


class Effect(Record):
    """One owed action. `position` orders a job's effects and, with `job_id`, names this one."""

    job_id: str
    position: int
    generation: int
    kind: EffectKind
