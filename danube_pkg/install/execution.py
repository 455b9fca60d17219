"""Carries the steps of a plan out, and takes back what a journal has.

A step is written into the journal with what was before it, then done, then checked. So an interruption at any point
leaves a journal that knows everything that may have been done: the same plan continues, and `take_back` restores.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from danube_pkg import __version__
from danube_pkg.core.errors import Permanent
from danube_pkg.install.journal import InstallOptions, Journal, JournalEntry, Step
from danube_pkg.install.ports import Machine
from danube_pkg.kit.records import replace


class StepChange(StrEnum):
    """What became of a step."""

    KEPT = "kept"
    DONE = "done"
    UNDONE = "undone"


Report = Callable[[Step, StepChange], None]


def carry_out(
    plan: Sequence[Step], machine: Machine, journal: Journal, options: InstallOptions, report: Report
) -> bool:
    """Make every step hold. Whether anything was changed. Raises PlatformError; what was done stays, with its entry."""
    is_changed = False
    for step in plan:
        with _translated(step):
            was_done = _carry_out_one(step, machine, journal, options)
        is_changed = is_changed or was_done
        report(step, StepChange.DONE if was_done else StepChange.KEPT)
    journal.complete()
    return is_changed


def _carry_out_one(step: Step, machine: Machine, journal: Journal, options: InstallOptions) -> bool:
    """Whether it had to be done. An entry of before keeps what was before that step was first begun."""
    known = journal.entry_of(step)
    if step.holds(machine):
        if known is not None and not known.held:
            journal.change(known, replace(known, held=True))
        return False
    journal.begin(__version__, options)
    if known is None:
        known = JournalEntry(step, step.before(machine, journal.saved_name()))
        journal.add(known)
    else:
        begun = JournalEntry(step, known.before)
        journal.change(known, begun)
        known = begun
    step.do(machine)
    if not step.holds(machine):
        raise Permanent(
            "step-without-effect",
            f"{step.title}: it was done, and is not so",
            hint="another program changes it meanwhile; try again: danube install",
        )
    journal.change(known, replace(known, held=True))
    return True


def take_back(machine: Machine, journal: Journal, report: Report, *, keep_data: bool = False) -> Sequence[Step]:
    """Undo every step, the last one first, and remove the journal. keep_data: not those that are lasting, which are
    returned. Raises PlatformError; what is left has its entry still."""
    kept = []
    journal.remove_from_now_on()
    for entry in reversed(journal.entries):
        if keep_data and entry.step.lasting:
            kept.append(entry.step)
        else:
            with _translated(entry.step):
                entry.step.undo(machine, entry.before)
            report(entry.step, StepChange.UNDONE)
        journal.drop_last()
    journal.end()
    return kept


@contextmanager
def _translated(step: Step) -> Iterator[None]:
    """Translates what the machine refuses."""
    try:
        yield
    except OSError as error:
        raise Permanent(
            "installation-step-failed",
            f"{step.title}: it failed",
            cause=str(error),
            hint="fix that and continue: danube install; or take everything back: danube uninstall",
        ) from error
