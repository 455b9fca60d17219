"""`@pipeline`: marks the function of a danubefile that a job calls."""

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, TypeVar

from danube._errors import DanubeError
from danube._texts import check_texts

F = TypeVar("F", bound=Callable[[], None])
MARK = "__danube_pipeline__"
SHELL = "__danube_shell__"
ENVIRONMENT = "__danube_environment__"
MAX_SHELL_BYTES = 200
"""For a program and its options."""

REFUSED = "script-invalid"
"""The reason of a job whose pipeline function cannot be called as one."""

_NOT_PLAIN = 0x20 | 0x80 | 0x100 | 0x200
"""The flags of generators and of the kinds of async functions: CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE and
CO_ASYNC_GENERATOR of `inspect`, whose import takes longer than the check of an ordinary function is worth."""

marked: list[Any] = []
"""Every function that this process has marked, in order: a second one of the same name would hide the first."""


def pipeline(*, name: str, shell: str = "", env: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Mark the function that the job calls; a danubefile has exactly one, without arguments and without a result.

    name: a title for readers of the danubefile. The pipeline's name comes from the configuration repository.
    shell: of every step that names none, as for `step.run`: `bash -euo pipefail`; "" for `/bin/sh -e`.
    env: environment variables of every step; a step's own replace them.

    Raises DanubeError for a class, an async function, a generator or a function with arguments: calling one would run
    none of its steps.
    """

    if shell:
        check_shell(shell)
    variables = checked_environment(env)

    def mark(function: F) -> F:
        check_function(function)
        setattr(function, MARK, name)
        setattr(function, SHELL, shell)
        setattr(function, ENVIRONMENT, variables)
        marked.append(function)
        return function

    return mark


def check_shell(shell: str) -> None:
    """Raises DanubeError where it cannot name a program."""
    if not isinstance(shell, str) or not shell.strip() or "\0" in shell or len(shell.encode()) > MAX_SHELL_BYTES:
        raise DanubeError(
            "step-invalid",
            f"shell={str(shell)[:40]!r} does not name a program and its options in 1 to {MAX_SHELL_BYTES} bytes",
            hint='shell="bash -euo pipefail"',
        )


def checked_environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of the variables. Raises DanubeError for a name or a value that a process cannot have."""
    if env is None:
        return {}
    if not isinstance(env, Mapping):
        raise DanubeError(
            "step-invalid",
            f"env must have a value for each name, and is a {type(env).__name__}",
            hint='env={"LEVEL": "debug"}',
        )
    texts = {f"the name {key!r} in env": key for key in env}
    check_texts("step-invalid", texts | {f"the value of {key!r} in env": value for key, value in env.items()})
    if any("\0" in key + value or "=" in key or not key for key, value in env.items()):
        raise DanubeError(
            "step-invalid",
            "an environment variable has a character that it cannot have (a NUL byte, or = in a name), or no name",
            hint="put binary data into a file of /workspace",
        )
    return dict(env)


def check_function(function: Callable[..., Any]) -> None:
    """Raises DanubeError where a call without arguments would not run the function's body to its end.

    `*args` and `**kwargs` are allowed: wrappers of decorators have them.
    """
    if isinstance(function, FunctionType):
        code = function.__code__
        if not (code.co_argcount or code.co_kwonlyargcount or code.co_flags & _NOT_PLAIN):
            return
    if not inspect.isfunction(function):
        kind = "a class" if inspect.isclass(function) else f"of type {type(function).__name__}"
        raise DanubeError(
            REFUSED, f"a pipeline must be a function; {_name(function)} is {kind}", hint="write: def build():"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DanubeError(
            REFUSED, f"{_name(function)} is async; a pipeline must not be", hint="write def instead of async def"
        )
    if inspect.isgeneratorfunction(function):
        raise DanubeError(
            REFUSED,
            f"{_name(function)} is a generator; a pipeline must not be: its body would not run",
            hint="remove yield from it",
        )
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if any(one.kind not in variable for one in inspect.signature(function, follow_wrapped=False).parameters.values()):
        raise DanubeError(
            REFUSED, f"{_name(function)} takes arguments; a pipeline must not", hint="read parameters from ctx.params"
        )


def check_result(function: Callable[..., Any], result: object) -> None:
    """Raises DanubeError for any result but None: an awaitable or an iterator has not run its steps."""
    if result is None:
        return
    if inspect.iscoroutine(result):
        result.close()
    what = "an awaitable" if inspect.isawaitable(result) else f"a value of type {type(result).__name__}"
    raise DanubeError(
        REFUSED,
        f"{_name(function)} returned {what}; a pipeline must return nothing",
        hint="let the function do its work before it returns, and return without a value",
    )


def _name(function: object) -> str:
    return str(getattr(function, "__name__", None) or repr(function))
