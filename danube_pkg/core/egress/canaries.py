"""Canaries: ports of Danube's own that no pod of a job may reach. Pure.

A cluster accepts a NetworkPolicy and ignores it where nothing enforces it, and where something does, a new pod may
reach a denied port for some milliseconds. So each container tries the canaries from inside before a step starts in it.
A closed port alone proves nothing, since the pod may have no network at all: `control` is a port that the policy allows
at the same server, and it must be open in the same try.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.reasons import HINTS, Reason
from danube_pkg.core.runtimes.pods import SUPERVISOR
from danube_pkg.kit.records import Record

REACH_MILLISECONDS = 1500
"""Time for an answer. A rejecting policy answers at once, a dropping one never, an open port well within it."""

TRY_SECONDS = 15.0
"""How long a container may try until its policy is effective. kube-router was late by 42 ms; a busy node takes more."""


WARN_SECONDS = 2.0
"""The same where jobs run without it too: each job of a cluster that enforces nothing waits for so long."""


class Reach(StrEnum):
    """How a try to connect ended, as `danube-step reach` prints it."""

    OPEN = "open"
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"


class EnforcedBy(StrEnum):
    """What was observed to keep a job's pod from passing by the egress proxy."""

    NO_ROUTE = "no-route"
    """The pod's network has a loopback only (the sandbox)."""
    NETWORK_POLICY = "network-policy"
    """Each container of the pod saw the canaries closed and the control open."""
    NOTHING = "nothing"
    """A canary was open, and the configuration lets such jobs run."""
    UNKNOWN = ""
    """It was not observed: a job from before, or one whose network needs no proxy."""


class Canaries(Record):
    """targets: `ADDRESS:PORT` that must be closed. control: one that must be open."""

    targets: tuple[str, ...]
    control: str

    def argv(self) -> Sequence[str]:
        """The program to run in a container."""
        return (SUPERVISOR, "reach", str(REACH_MILLISECONDS), *self.targets, self.control)

    def observe(self, output: bytes) -> "Observation":
        """What the program printed. Raises Unavailable for output that is not its own."""
        lines = [line.rpartition(" ") for line in output.decode("utf-8", errors="replace").splitlines()]
        try:
            found = {target: Reach(end) for target, _, end in lines}
            return Observation({target: found[target] for target in self.targets}, found[self.control])
        except (KeyError, ValueError) as error:
            raise Unavailable(
                "canaries-not-observed",
                "it could not be seen whether the pod's network is enforced",
                cause=f"danube-step printed {output[:200]!r}",
                hint="see why in the pod's events: kubectl describe pod",
            ) from error


class Observation(Record):
    """One try in one container."""

    canaries: Mapping[str, Reach]
    control: Reach

    @property
    def open_canaries(self) -> Sequence[str]:
        return [target for target, found in self.canaries.items() if found is Reach.OPEN]

    @property
    def is_enforced(self) -> bool:
        """Every canary is closed, and the network works."""
        return not self.open_canaries and self.control is Reach.OPEN

    def failure(self, control: str, *, refuse: bool) -> Permanent | Unavailable | None:
        """The error of a container that does not come to see it enforced; None where the job may run all the same."""
        if not self.open_canaries:
            return Unavailable(
                "egress-proxy-unreachable",
                f"the pod does not reach {control}, which its network policy allows ({self.control})",
                hint="check advertise_address in danube.toml, and the firewall between nodes and this server",
            )
        if not refuse:
            return None
        return Permanent(
            Reason.EGRESS_UNENFORCED,
            "the cluster does not enforce network policies: the job could reach anything without the egress proxy",
            cause=f"from inside the pod {', '.join(self.open_canaries)} is reachable, which every policy denies",
            hint=HINTS[Reason.EGRESS_UNENFORCED],
        )


UNENFORCED_NOTE = "egress: nothing enforces the allowlist in this cluster; the job can pass by the proxy, and what does is not recorded"
"""The line in the log of a job that runs all the same."""
