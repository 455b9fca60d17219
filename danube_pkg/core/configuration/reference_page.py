"""The reference page of `docs/`: every key of `danube.toml` and of the configuration repository, made from their
records."""

import typing
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from danube_pkg.core.configuration.kinds import API_VERSION, KINDS, Metadata
from danube_pkg.core.configuration.settings import Settings
from danube_pkg.core.documents.marked import FieldRule, rule_of
from danube_pkg.core.documents.quantities import examples
from danube_pkg.core.documents.records import (
    optional,
    plain,
    typed_fields,
    variants,
)
from danube_pkg.kit.records import MISSING, is_record

_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_HEAD = f"""# Configuration reference

Made from the definitions that the server validates with: `python -m build_steps.reference_page` writes it, and a test
compares the two. [Everything from Git](git.md) explains how the parts fit together. Each document of the configuration
repository begins with `apiVersion: {API_VERSION}`.
"""


def reference_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, "## danube.toml\n"]
    seen: set[type[Any]] = set()
    parts += _sections(Settings, "", seen, "### ")
    parts.append(f"## metadata\n\n{table_of(Metadata)}")
    for kind, spec in KINDS.items():
        parts.append(f"## Kind {kind}\n\n{table_of(spec)}")
        parts += _nested(spec, "spec", seen)
    return "\n".join(parts)


def _sections(kind: type[Any], path: str, seen: set[type[Any]], mark: str) -> Iterator[str]:
    for key, (_, hint) in typed_fields(kind).items():
        inner = optional(hint)
        if is_record(inner):
            record = typing.cast("type[Any]", inner)
            yield f"{mark}[{path}{key}]\n\n{_doc(record)}\n\n{table_of(record)}"
            seen.add(record)


def _nested(kind: type[Any], path: str, seen: set[type[Any]]) -> Iterator[str]:
    """The records inside a record, each once, deepest last."""
    for key, (_, hint) in typed_fields(kind).items():
        name = f"{path}.{key}"
        for record in records_in(hint):
            if record in seen:
                continue
            seen.add(record)
            typed = f" with `type: {record.TYPE}`" if hasattr(record, "TYPE") else ""
            short = f" It may be written as its {record.SHORT} alone." if hasattr(record, "SHORT") else ""
            yield f"### {name}{typed}\n\n{_doc(record)}{short}\n\n{table_of(record)}"
            yield from _nested(record, name, seen)


def records_in(hint: Any) -> tuple[type[Any], ...]:
    """The records that a field with this annotation may contain."""
    hint = optional(hint)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return records_in(typing.get_args(hint)[0])
    if origin is not None and not variants(hint) and issubclass(origin, Mapping):
        return records_in(typing.get_args(hint)[1])
    if kinds := variants(hint):
        return kinds
    return (typing.cast("type[Any]", hint),) if is_record(hint) else ()


def _doc(record: type[Any]) -> str:
    return " ".join((record.__doc__ or "").split())


def table_of(record: type[Any]) -> str:
    """The keys of one record, as a table of Markdown."""
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, (field, hint) in typed_fields(record).items():
        rules = rule_of(field)
        needed = field.default is MISSING and field.default_factory is MISSING
        default = "required" if needed else _default(field.default)
        example = f" For example `{rules.example}`." if rules.example else ""
        restart = " *Takes effect after a restart.*" if rules.restart else ""
        planned = f" **It has no effect yet**: {rules.planned}." if rules.planned else ""
        cells = (f"`{key}`", _type(hint, rules), default, f"{rules.about}{example}{restart}{planned}")
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if value is MISSING or value in (None, "", ()):
        return ""
    shown = plain(value)
    if isinstance(shown, bool):
        return f"`{str(shown).lower()}`"
    return f"`[{', '.join(shown)}]`" if isinstance(shown, list) else f"`{shown}`"


def _type(hint: Any, rules: FieldRule) -> str:
    hint = optional(hint)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return f"list of: {_type(typing.get_args(hint)[0], rules)}"
    if variants(hint):
        return f"one of {', '.join(one.TYPE for one in variants(hint))}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping of names to: {_type(typing.get_args(hint)[1], rules)}"
    if is_record(hint):
        return "mapping"
    if issubclass(hint, StrEnum):
        return ", ".join(f"`{one.value}`" for one in hint)
    if rules.expects and hint is str:
        return rules.expects
    bounds = [f"at least {rules.at_least:g}"] if rules.at_least is not None else []
    bounds += [f"at most {rules.at_most:g}"] if rules.at_most is not None else []
    text = [f"or text as {examples(rules.unit)}"] if rules.unit else []
    text += [f"or `{word}`" for word in rules.words]
    return ", ".join([_TYPES[hint] + (f" of {rules.unit}" if rules.unit else ""), *bounds, *text])
