"""Approvals in the middle of a pipeline."""

from dataclasses import dataclass
from datetime import UTC, datetime

from danube._errors import DanubeError
from danube._session import current
from danube._texts import check_texts


@dataclass(frozen=True)
class Approval:
    """What a user has approved.

    environment: its name. by: the user. at: when, in UTC. reason: what the user wrote beside it; may be empty.
    """

    environment: str
    by: str
    at: datetime
    reason: str


def approval(environment: str, *, timeout_seconds: int | None = None) -> Approval:
    """Wait until a user has approved that the job acts on an environment, such as production, and return the approval.

        step.run("make test")
        approval("production")
        step.run("./deploy.sh", env={"KEY": secrets.get("DEPLOY_KEY")})

    environment: one of `environments` in the pipeline's YAML, which names who may approve, the refs whose jobs may ask,
        and the secrets that can be read only from then on. Identity tokens have the claim `environment` from then on.
    timeout_seconds: how long the job waits; by default, and at most, as long as the YAML says.

    While it waits the pod is frozen: nothing in it runs, and the job keeps neither a slot nor counts the time for its
    deadline. Call it while no step runs. A rejection, the end of the wait and `danube cancel` end the job. Raises
    DanubeError at once for an environment that is not declared, for a ref that may not ask, and for the code of an
    untrusted proposal. `danube run` asks on its terminal, or takes `--approve ENVIRONMENT`.
    """
    session = current()
    check_texts("environment-invalid", {"the name of an environment": environment})
    if timeout_seconds is not None and not (isinstance(timeout_seconds, int) and timeout_seconds > 0):
        raise DanubeError(
            "approval-timeout",
            f"timeout_seconds of an approval is {timeout_seconds!r}",
            cause="it is a whole number of seconds, at least 1",
            hint='approval("production", timeout_seconds=86400)',
        )
    sequence = session.next_sequence("approval")
    grant = session.ask_for_environment(sequence, environment, timeout_seconds or 0)
    return Approval(environment, grant.by, datetime.fromtimestamp(grant.at, UTC), grant.reason)
