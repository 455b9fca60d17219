"""Writes docs/sdk.md from the docstrings of the SDK:  python -m build_steps.sdk_page"""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from danube import (
    Cache,
    DanubeError,
    Leg,
    LegResult,
    MatrixFailed,
    StepFailed,
    StepHandle,
    StepResult,
    artifacts,
    cache,
    ctx,
    hash_files,
    pipeline,
    reports,
    secrets,
    step,
)

PAGE = Path(__file__).parents[1] / "docs" / "sdk.md"

HEAD = """\
# The SDK

What a danubefile imports from `danube`. [pipelines.md](pipelines.md) shows it at work. Made from the docstrings:
`python -m build_steps.sdk_page` writes it, and a test compares.

"""

CALLS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("pipeline", pipeline),
    ("step.run", step.run),
    ("step.start", step.start),
    ("step.retry", step.retry),
    ("step.parallel", step.parallel),
    ("step.matrix", step.matrix),
    ("step.service", step.service),
    ("step.build_image", step.build_image),
    ("secrets.get", secrets.get),
    ("secrets.get_bytes", secrets.get_bytes),
    ("artifacts.upload", artifacts.upload),
    ("artifacts.download", artifacts.download),
    ("artifacts.on_failure", artifacts.on_failure),
    ("cache", cache),
    ("hash_files", hash_files),
    ("reports.junit", reports.junit),
    ("reports.coverage", reports.coverage),
    ("reports.summary", reports.summary),
    ("reports.annotation", reports.annotation),
    ("reports.annotations", reports.annotations),
)
"""In the order in which authors meet them."""

TYPES: tuple[type[Any], ...] = (
    StepResult,
    StepHandle,
    Cache,
    type(ctx),
    Leg,
    LegResult,
    reports.ReportSummary,
    reports.CoverageSummary,
    StepFailed,
    MatrixFailed,
    DanubeError,
)

_ARGUMENT = re.compile(r"^([a-z_]+(?:, [a-z_]+)*): ")
_WIDTH = 118


def sdk_page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for name, call in CALLS:
        parts.append(f"## `{name}`\n\n```python\n{name}{_signature(call)}\n```\n\n{_text(call)}\n\n")
    for kind in TYPES:
        shown = "ctx" if kind is type(ctx) else kind.__name__
        parts.append(f"## `{shown}`\n\n{_text(kind)}\n\n")
        parts += [f"- `{name}`: {_line(member)}\n" for name, member in _members(kind)]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def public_names(module: ModuleType) -> set[str]:
    """The calls of a module, which an editor offers: its own names without an underscore."""
    own = [one for one in vars(module).values() if inspect.isfunction(one) and one.__module__ == module.__name__]
    return {f"{module.__name__.rpartition('.')[2]}.{one.__name__}" for one in own if not one.__name__.startswith("_")}


def _signature(call: Callable[..., Any]) -> str:
    text = str(inspect.signature(call)).replace("collections.abc.", "")
    text = re.sub(r"danube\.(_[a-z]+|reports)\.", "", text)
    text = re.sub(r"~?F\b", "function", text.replace("typing.", ""))
    text = text.replace("= ''", '= ""').replace("'", "")
    if len(text) + 20 <= _WIDTH:
        return text
    head, _, tail = text.rpartition(")")
    return "(\n    " + ",\n    ".join(_split(head[1:])) + f",\n){tail}"


def _split(arguments: str) -> list[str]:
    """The arguments of a signature; commas in brackets separate none."""
    found, depth = [""], 0
    for letter in arguments:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [one.strip() for one in found]


def _text(documented: object) -> str:
    """A docstring as Markdown: its arguments become a list, indented lines stay code."""
    found, of_argument = list[str](), False
    for line in (inspect.getdoc(documented) or "").splitlines():
        argument = _ARGUMENT.match(line)
        of_argument = argument is not None or (of_argument and line.startswith("    "))
        if argument:
            if found and found[-1] and not found[-1].startswith(("- ", "  ")):
                found.append("")
            found.append(f"- `{argument[1].replace(', ', '`, `')}`: {line[argument.end() :]}")
        elif of_argument:
            found.append(f"  {line.strip()}")
        else:
            found.append(line)
    return "\n".join(found)


def _members(kind: type[Any]) -> Iterator[tuple[str, object]]:
    """Properties and methods with a docstring, in the order of the source."""
    for name, member in vars(kind).items():
        documented = inspect.getdoc(member) if isinstance(member, property) or inspect.isfunction(member) else None
        if documented and not name.startswith("_"):
            yield f"{name}()" if inspect.isfunction(member) else name, member


def _line(member: object) -> str:
    return " ".join((inspect.getdoc(member) or "").split())


def main() -> None:
    """Write the page."""
    PAGE.write_text(sdk_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
