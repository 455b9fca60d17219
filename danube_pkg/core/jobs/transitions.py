"""The life of a job: a table of transitions and `decide(job, event, now) -> (job, effects)`. Pure.

    QUEUED ─Admitted─▶ PREPARING ─PodReady─▶ RUNNING ─conclude─▶ CONCLUDING ─LogClosed─▶ SIGNING ─┐
      │                      ┌──────────────── ProvenanceSigned, SigningFailed ────────────────────┘
      │                      └─▶ ENDED ─(PodReleased)─PodDeleted─▶ CLOSED
      └──────────── CancelRequested, RefRefused ───────▲

The rules:

1. An event that the table has for the job's phase changes it as its rule says (`TRANSITIONS`).
2. An event that may come when its moment has passed is ignored (`IGNORED`): a call that is repeated after a lost
   answer, the second of two things that happen at once.
3. Any other (phase, event) pair raises `IllegalEvent`: a bug in Danube.
4. A request that comes too late raises Conflict, since a caller waits for the answer: StepRequested, Approved,
   EnvironmentRequested, EnvironmentDecided.
5. The outcome is decided once, by `outcome.conclude`, which increments the job's generation, so that effects which
   were owed before are skipped; or before that by `outcome.end_after_grace`, for a job that may still clean up.
6. The public status changes to an end only when the log is whole, no step is open and provenance is signed.
7. A job succeeds on one path only: the coordinator's Finish without a failure, no open step, and each checked step
   with an authentic record of success.
8. An attempt of a step is placed in one container, once. Events of an attempt that has ended change nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from danube_pkg.core.jobs import approval_transitions, clock_jumps, outcome, start_transitions, step_transitions
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.decision import Decision, IllegalEvent, unchanged
from danube_pkg.core.jobs.job import Job, Phase

Rule = Callable[[Job, Any, float], Decision]


def decide(job: Job, event: ev.JobEvent, now: float) -> Decision:
    """The next state and the effects that it owes. Raises IllegalEvent, and Conflict for a late request."""
    kind = type(event)
    if job.phase in IGNORED.get(kind, ()):
        return unchanged(job, event, now)
    rule = TRANSITIONS.get((job.phase, kind))
    if rule is None:
        raise IllegalEvent(job, event)
    return rule(job, event, now)


_PUBLIC = (Phase.ENDED, Phase.CLOSED)
_OVER = (Phase.SIGNING, *_PUBLIC)
_DECIDED = (Phase.CONCLUDING, *_OVER)

TRANSITIONS: Mapping[tuple[Phase, type[ev.JobEvent]], Rule] = {
    (Phase.QUEUED, ev.Admitted): start_transitions.admitted,
    (Phase.QUEUED, ev.RefResolved): start_transitions.ref_resolved,
    (Phase.QUEUED, ev.RefRefused): outcome.ref_refused,
    (Phase.QUEUED, ev.Approved): start_transitions.approved,
    (Phase.QUEUED, ev.CancelRequested): outcome.cancelled_in_queue,
    #
    (Phase.PREPARING, ev.Approved): start_transitions.no_approval,
    (Phase.PREPARING, ev.SourceOpened): start_transitions.source_opened,
    (Phase.PREPARING, ev.PodReady): start_transitions.pod_ready,
    (Phase.PREPARING, ev.PodFailed): start_transitions.pod_failed,
    (Phase.PREPARING, ev.CancelRequested): outcome.cancelled,
    (Phase.PREPARING, ev.DeadlinePassed): outcome.deadline_passed,
    (Phase.PREPARING, ev.ClockMoved): clock_jumps.clock_moved,
    #
    (Phase.RUNNING, ev.Approved): start_transitions.no_approval,
    (Phase.RUNNING, ev.SourceOpened): start_transitions.source_opened,
    (Phase.RUNNING, ev.PodFailed): start_transitions.pod_failed,
    (Phase.RUNNING, ev.StepRequested): step_transitions.step_asked,
    (Phase.RUNNING, ev.ReportAdded): step_transitions.report_added,
    (Phase.RUNNING, ev.StepStopRequested): step_transitions.step_stop_asked,
    (Phase.RUNNING, ev.StepPlaced): step_transitions.step_placed,
    (Phase.RUNNING, ev.StepRestored): step_transitions.step_restored,
    (Phase.RUNNING, ev.StepStarted): step_transitions.step_started,
    (Phase.RUNNING, ev.StepEnded): step_transitions.step_ended,
    (Phase.RUNNING, ev.ContainerLost): step_transitions.container_lost,
    (Phase.RUNNING, ev.Finished): outcome.finished,
    (Phase.RUNNING, ev.CancelRequested): outcome.cancelled,
    (Phase.RUNNING, ev.DeadlinePassed): approval_transitions.deadline_reached,
    (Phase.RUNNING, ev.EnvironmentRequested): approval_transitions.requested,
    (Phase.RUNNING, ev.EnvironmentGranted): approval_transitions.granted,
    (Phase.RUNNING, ev.EnvironmentExpired): approval_transitions.expired,
    (Phase.RUNNING, ev.GraceEnded): outcome.grace_ended,
    (Phase.RUNNING, ev.FilesSealed): outcome.files_sealed,
    (Phase.RUNNING, ev.ClockMoved): clock_jumps.clock_moved,
    #
    (Phase.CONCLUDING, ev.Approved): start_transitions.no_approval,
    (Phase.CONCLUDING, ev.StepRequested): step_transitions.step_refused,
    (Phase.CONCLUDING, ev.StepStarted): step_transitions.step_started,
    (Phase.CONCLUDING, ev.StepEnded): step_transitions.step_ended,
    (Phase.CONCLUDING, ev.ContainerLost): step_transitions.container_lost,
    (Phase.CONCLUDING, ev.StepsStopped): step_transitions.steps_stopped,
    (Phase.CONCLUDING, ev.LogClosed): outcome.log_closed,
    #
    (Phase.SIGNING, ev.Approved): start_transitions.no_approval,
    (Phase.SIGNING, ev.StepRequested): step_transitions.step_refused,
    (Phase.SIGNING, ev.ProvenanceSigned): outcome.signed,
    (Phase.SIGNING, ev.SigningFailed): outcome.signing_failed,
    #
    (Phase.ENDED, ev.Approved): start_transitions.no_approval,
    (Phase.ENDED, ev.StepRequested): step_transitions.step_refused,
    (Phase.ENDED, ev.PodReleased): outcome.pod_released,
    (Phase.ENDED, ev.PodDeleted): outcome.pod_deleted,
    #
    (Phase.CLOSED, ev.Approved): start_transitions.no_approval,
    (Phase.CLOSED, ev.StepRequested): step_transitions.step_refused,
    #
    **{(phase, ev.EnvironmentDecided): approval_transitions.not_waiting for phase in Phase},
    (Phase.RUNNING, ev.EnvironmentDecided): approval_transitions.decided,
    **{(phase, ev.EnvironmentRequested): approval_transitions.refused for phase in _DECIDED},
}

IGNORED: Mapping[type[ev.JobEvent], tuple[Phase, ...]] = {
    # The job was cancelled while its ref was looked up.
    ev.RefResolved: (Phase.CLOSED,),
    ev.RefRefused: (Phase.CLOSED,),
    # The job was cancelled in the queue while the scheduler admitted it.
    ev.Admitted: (Phase.CLOSED,),
    # The deadline's timer and whatever ends the job run at the same time; a job that waits has no deadline yet.
    ev.DeadlinePassed: (Phase.QUEUED, *_DECIDED),
    # The danubefile returns at the moment when its grace period ends.
    ev.GraceEnded: _DECIDED,
    # Only what runs has a start and a deadline that must agree with the clock.
    ev.ClockMoved: (Phase.QUEUED, *_DECIDED),
    # Two cancels, or a cancel and the end that overtook it. A client learns it from the status in the answer.
    ev.CancelRequested: _DECIDED,
    # The coordinator repeats a Finish whose answer was lost, or finishes while the job is being cancelled.
    ev.Finished: _DECIDED,
    # A report that comes while the job ends; its call is refused before.
    ev.ReportAdded: _DECIDED,
    # The files were read while the outcome was decided; they are sealed once more when the log is closed.
    ev.FilesSealed: _DECIDED,
    # The slot came, or the time was over, while the job was being cancelled.
    ev.EnvironmentGranted: _DECIDED,
    ev.EnvironmentExpired: _DECIDED,
    # A job that is ending stops its steps by itself.
    ev.StepStopRequested: _DECIDED,
    # CREATE_POD returned at the moment when its generation ended.
    ev.PodReady: _DECIDED,
    ev.PodFailed: _DECIDED,
    # The source's stream ends, with more notices, after the job.
    ev.SourceOpened: _DECIDED,
    # A container was made while the outcome was decided. Its step must not start: STOP_STEPS may be over.
    ev.StepPlaced: _DECIDED,
    # The same of a step that was to be restored.
    ev.StepRestored: _DECIDED,
    # Followers report until the steps are stopped, and their last report can come behind the closed log.
    ev.StepStarted: _OVER,
    ev.StepEnded: _OVER,
    # The runtime reports each container that ends with its pod. Until the pod is ready, CREATE_POD reports a failure.
    ev.ContainerLost: (Phase.PREPARING, *_OVER),
    # An effect whose commit seemed to fail, and had not, is performed and reported again.
    ev.StepsStopped: _OVER,
    ev.LogClosed: _OVER,
    ev.ProvenanceSigned: _PUBLIC,
    ev.SigningFailed: _PUBLIC,
    ev.PodDeleted: (Phase.CLOSED,),
    # The time of a kept pod is over at the moment when a user removes it.
    ev.PodReleased: (Phase.CLOSED,),
}
"""Events that are expected in phases where they change nothing, and why."""

MADE_AGAIN: Mapping[type[ev.JobEvent], Phase] = {
    # The ref is looked up again.
    ev.RefResolved: Phase.QUEUED,
    # The source is opened again, with the pod, and before the coordinator reads it.
    ev.SourceOpened: Phase.PREPARING,
    # The coordinator repeats its call; nothing was done for the step that is not done again.
    ev.StepRequested: Phase.RUNNING,
    # The supervisor reports the start of a step to each follower.
    ev.StepStarted: Phase.RUNNING,
}
"""Events that a server which was killed would meet again, in that phase: the next server derives the same tasks, and
they find the same. So what they change need not be on disk before others see it."""


def may_be_stored_later(job: Job, event: ev.JobEvent) -> bool:
    """Whether what the event changes may be stored together with the next change. job: before the event."""
    return MADE_AGAIN.get(type(event)) is job.phase
