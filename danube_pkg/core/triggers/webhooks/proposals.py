"""What a payload claims about the head of a pull or merge request: whether it is a branch of the base repository.

It is a claim only, which Git has to confirm (`services/triggers/trust.py`). Whatever a payload does not say clearly
counts as another repository: a deleted or hidden fork, a null repository, a request that has no branch (AGit).
"""

from collections.abc import Sequence

from danube_pkg.core.triggers.webhooks.payload import Payload


def claims_own_branch(ids: Sequence[int | None], head_ref: str, head: Payload) -> bool:
    """Whether the head is claimed to be a branch of the base repository.

    ids: the repository's id in each place that must name the base repository, None where it is absent. head_ref: the
    name of the head's branch. head: the object that describes it. A request that was made by AGit has the base
    repository's id, but its ref is that of the request, its label is empty, and its flow is not 0.
    """
    if None in ids or len(set(ids)) != 1:
        return False
    if head_ref.startswith("refs/") or head.value.get("label") == "":
        return False
    return head.value.get("flow") in (None, 0)


def id_of(payload: Payload | None, name: str = "id") -> int | None:
    """A positive id; None where it is absent or something else."""
    found = payload.value.get(name) if payload is not None else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None
