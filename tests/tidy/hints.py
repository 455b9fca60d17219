"""Rules for hints: a refusal has one, and what a hint or a document names exists."""

import ast
import re
from collections.abc import Iterator

from tests.tidy import commands
from tests.tidy.tree import Source

REFUSALS = (
    "Permanent",
    "Invalid",
    "Unauthenticated",
    "Forbidden",
    "NotFound",
    "Conflict",
    "TooLarge",
    "Unavailable",
    "DanubeError",
)
"""The kinds of `core/errors.py` that a user meets, made with a reference and a sentence."""

_COORDINATOR = "answered to a job's own coordinator, which no user writes"
_RETRIED = "the caller tries again by itself, and what it gives up with has a hint"
_BY_REASON = "ends a job or step with a reason, and each reason has its hint"

WITHOUT_HINT = {
    "Reason.POD_FAILED": _BY_REASON,
    "container-gone": _BY_REASON,
    "database-busy": _RETRIED,
    "database-closed": _RETRIED,
    "database-locked": _RETRIED,
    "egress-not-opened": _RETRIED,
    "egress-proxy-busy": _RETRIED,
    "egress-proxy-lost": _RETRIED,
    "egress-proxy-slow": _RETRIED,
    "egress-target-invalid": "the proxy's answer to a program in a pod; the sentence says what a target is",
    "exec-busy": _RETRIED,
    "exec-closed": _BY_REASON,
    "exec-lost": _BY_REASON,
    "image-removed": _RETRIED,
    "job-ending": "only a coordinator asks, of a job that is over; the cause says how it ended",
    "job-token-invalid": _COORDINATOR,
    "job-token-missing": _COORDINATOR,
    "pod-busy": _RETRIED,
    "pod-lost": _BY_REASON,
    "step-differs": _COORDINATOR,
    "step-invalid": _COORDINATOR,
    "container-slow": _RETRIED,
}
"""References of refusals that need no hint, and why."""


def refusal_without_hint(source: Source) -> Iterator[str]:
    """A refusal that does not say what fixes it."""
    for reference, kind, line in hintless(source):
        if reference not in WITHOUT_HINT:
            yield f"{line}: this {kind} ({reference}) has no hint"


def hintless(source: Source) -> Iterator[tuple[str, str, int]]:
    """(reference, kind, line) of each refusal that is made without a hint."""
    for kind in REFUSALS:
        for call in source.syntax.calls.get(kind, ()):
            if len(call.args) >= 2 and "hint" not in {keyword.arg for keyword in call.keywords}:
                first = call.args[0]
                reference = first.value if isinstance(first, ast.Constant) else ast.unparse(first)
                yield str(reference), kind, call.lineno


def unknown_command(source: Source) -> Iterator[str]:
    """A `danube …` that does not exist, or not with this flag."""
    for named in commands.commands_in(source.text):
        if wrong := commands.mistake(named.words):
            yield f"{named.line}: {wrong}"


def unknown_flag(source: Source) -> Iterator[str]:
    """A hint that names a flag which no command has."""
    for line, hint in _hints(source):
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", hint):
            if flag not in commands.all_flags():
                yield f"{line}: no command has {flag}"


def unknown_target(source: Source) -> Iterator[str]:
    """A `make …` that the Makefile does not have: in a hint of Python code, in the text of any other file."""
    texts = _hints(source) if source.name.endswith(".py") else [(1, source.text)]
    for first, text in texts:
        for line, target in commands.targets_in(text):
            if target not in commands.targets():
                yield f"{first + line - 1}: there is no make {target}"


def _hints(source: Source) -> Iterator[tuple[int, str]]:
    """The texts that are given as `hint=`, with X in place of each value."""
    for called in source.syntax.calls.values():
        for call in called:
            for keyword in call.keywords:
                if keyword.arg == "hint":
                    for node in ast.walk(keyword.value):
                        if isinstance(node, ast.JoinedStr):
                            yield node.lineno, "".join(_piece(value) for value in node.values)
                        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                            yield node.lineno, node.value


def _piece(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "X"
