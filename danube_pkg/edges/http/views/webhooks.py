"""The answer to a webhook delivery."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record


class HookReceipt(Record):
    """What became of a webhook delivery."""

    delivery: Annotated[str, about("The forge's id of the delivery.")]
    status: Annotated[
        str,
        about(
            "accepted, known (it arrived before), no-pipeline (stored, but no pipeline uses its repository), or pong "
            "(an answer to a ping)."
        ),
    ]
