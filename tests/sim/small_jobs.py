"""Small jobs with one of everything, for runs that inject a fault at each moment of them."""

from danube_pkg.core.reasons import Reason
from tests.fakes.processes import EndContainer, Exit, Hang, Print, PrintVariable, Wait
from tests.sim.job_plans import JobPlan, Parallel, PrintText, ReadSecret, StepPlan, Upload
from tests.sim.scenarios import Scenario

COUNTER = tuple(Print(b"line %d\n" % number) for number in range(3))

SMALL = JobPlan(
    "small",
    (
        ReadSecret("TOKEN"),
        PrintText("it is {TOKEN}, and that is that\n"),
        Parallel(
            (
                StepPlan(
                    "count",
                    ((*COUNTER, PrintVariable("TOKEN", 9, 1.0), Wait(1.0), Print(b"\nlast\n")),),
                    secrets=("TOKEN",),
                ),
            )
        ),
        Upload("report", b"what was found"),
    ),
)
"""A secret printed in two parts, an artifact, output of the danubefile itself."""

FORKED = JobPlan(
    "forked",
    (
        ReadSecret("KEY"),
        Parallel(
            (
                StepPlan(
                    "left", ((Print(b"left\n"), Wait(0.5), PrintVariable("KEY", 30, 0.5), Exit(0)),), secrets=("KEY",)
                ),
                StepPlan("right", ((Print(b"right"), Wait(0.2), Print(b" on\n"), Exit(3)), COUNTER), retries=1),
                StepPlan("unchecked", ((Print(b"never mind\n"), Exit(9)),), check=False, image="node:20"),
            )
        ),
    ),
)
"""Parallel steps: one succeeds in its second attempt, one may fail; two images."""

LOST = JobPlan(
    "lost",
    (
        Parallel(
            (StepPlan("dies", ((Print(b"so far\n"), Wait(1.0), EndContainer(Reason.OUT_OF_MEMORY, "of memory")),)),)
        ),
        Parallel((StepPlan("after it", (COUNTER,)),)),
    ),
)
"""A container ends: the job fails with the reason of that."""

ENDLESS = JobPlan(
    "endless", (Parallel((StepPlan("hangs", ((Print(b"started\n"), Hang()),)),)),), max_duration_seconds=20
)
"""Ended by its deadline."""

STOPPED = JobPlan("stopped", (Parallel((StepPlan("stopped", ((Print(b"started\n"), Hang()),)),)),))
"""Ended by a cancellation."""

EACH = {plan.name: plan for plan in (SMALL, FORKED, LOST, ENDLESS, STOPPED)}
CANCELS = {"stopped": 5.0}


def scenario_of(name: str) -> Scenario:
    """A scenario with that job alone and without faults."""
    return Scenario(seed=1, plans=(EACH[name],), cancels={key: at for key, at in CANCELS.items() if key == name})
