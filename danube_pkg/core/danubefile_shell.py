"""Failures that a step's shell would ignore, found in the text of the command; nothing is run."""

import shlex

STANDARD = "/bin/sh -e"
"""The shell of a step that names none; `supervisor/step/command.c` has it too."""

_SHELLS = ("sh", "ash", "dash", "bash", "ksh", "zsh")


def ignored_failures(command: str, shell: str) -> tuple[tuple[str, str], ...]:
    """What is wrong, and a hint, for each way in which a failure of the command would not fail the step.

    Only what is sure: a command that cannot be divided into words, and one with a here-document, a `case` or another
    program than a shell, has none.
    """
    program, *options = shell.split() or [""]
    if program.rpartition("/")[2] not in _SHELLS or "<<" in command:
        return ()
    words = _words(command)
    if not words or "case" in words:
        return ()
    found = []
    if "|" in words and "pipefail" not in [*options, *words]:
        found.append(("of this pipe only the last program counts", 'name a shell: shell="bash -euo pipefail"'))
    if "&" in words and "wait" not in words:
        found.append(
            ("a program in the background does not count: its failure is ignored", "run it as a step: step.start(…)")
        )
    stops = "errexit" in [*options, *words] or any(one[:1] == "-" and "e" in one for one in [*options, *words[:2]])
    if not stops and "\n" in command.strip():
        found.append(
            ("of this command only the last line counts: the shell does not stop at errors", f'shell="{shell} -e"')
        )
    return tuple(found)


def _words(command: str) -> list[str]:
    """The words and operators of a command, without comments; none where a quote is not closed."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return []
