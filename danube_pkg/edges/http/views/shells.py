"""An open shell."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso
from danube_pkg.services.jobs.shells import Shell


class ShellView(Record):
    """A shell that was opened."""

    id: Annotated[str, about("Its id, for the requests of the user who has opened it.")]
    step: Annotated[int, about("The number of the step in whose container it runs.")]
    step_name: Annotated[str, about("The name of that step.")]
    image: Annotated[str, about("The image of that container.")]
    ends_at: Annotated[Time, about("When it is ended at the latest.")]


def shell_view(shell: Shell) -> ShellView:
    """The shell with its step."""
    return ShellView(shell.id, shell.step.sequence, shell.step.name, shell.step.image, iso(shell.ends_at))
