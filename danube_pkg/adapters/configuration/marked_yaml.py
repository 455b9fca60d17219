"""YAML text → marked documents: a C parser, no objects, no duplicate keys, nothing that could grow without bound.

Only text, numbers, booleans, null, lists and mappings with text keys exist; anything else is a finding at its line. A
key is its text as written, so that `on:` is not the boolean that YAML 1.1 reads there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from danube_pkg.adapters.configuration.yaml_mistakes import yaml_mistake
from danube_pkg.core.documents.marked import Findings, Marked
from danube_pkg.core.errors import SourceLocation

MAX_FILE_BYTES = 1024**2
"""More than ten thousand lines; a larger file is data that was committed by mistake."""

MAX_NODES = 100_000
"""Per file; an alias counts as often as it is used, since a few lines of nested aliases could expand to billions."""

MAX_DEPTH = 40
"""Levels of nesting; the schema needs six."""

MAX_SHOWN = 60
"""Characters of a value that a finding quotes."""

_BORDER = re.compile(r"(---|\.\.\.)(\s|$)")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}
_TEXTS = {f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp", "value", "merge")}


class _TooMuch(Exception):
    """A limit was exceeded; the message is shown to users."""


def parse_yaml(data: bytes, file: str, findings: Findings) -> tuple[Marked, ...]:
    """The documents of one file. Mistakes are added to `findings`; the documents before a syntax error are returned."""
    if len(data) > MAX_FILE_BYTES:
        findings.add(
            SourceLocation(file),
            f"the file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read",
            hint="divide the file",
        )
        return ()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.add(SourceLocation(file, line), "the file is not UTF-8", hint="save it as UTF-8")
        return ()
    documents: list[Marked] = []
    converter = _Converter(file, findings)
    try:
        for node in _nodes(text):
            documents.append(converter.convert(node, 0))
    except yaml.MarkedYAMLError as error:
        line, what, hint = yaml_mistake(error, text)
        findings.add(SourceLocation(file, line), f"not valid YAML: {what}", hint=hint)
    except yaml.YAMLError as error:
        findings.add(SourceLocation(file), f"not valid YAML: {error}", hint="look for control characters")
    except _TooMuch as error:
        findings.add(SourceLocation(file), str(error), hint="write it without aliases, or divide the file")
    except RecursionError:
        findings.add(SourceLocation(file), f"nested deeper than {MAX_DEPTH} levels", hint="flatten it")
    return tuple(documents)


def document_texts(data: bytes, documents: Sequence[Marked]) -> Mapping[SourceLocation, str]:
    """The text of each document of a file, with its comments, by the place where the document begins."""
    lines = data.decode("utf-8-sig", "replace").splitlines() or [""]
    found = {}
    for one in documents:
        begin = end = min(one.place.line, len(lines)) - 1  # an empty document may begin behind the last line
        while begin > 0 and not _BORDER.match(lines[begin]) and not _BORDER.match(lines[begin - 1]):
            begin -= 1
        while end + 1 < len(lines) and not _BORDER.match(lines[end + 1]):
            end += 1
        found[one.place] = "\n".join(lines[begin : end + 1]).strip("\n") + "\n"
    return found


def _nodes(text: str) -> Iterator[yaml.Node]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


class _Converter:
    """Converts the nodes of one file to marked values, and counts them."""

    def __init__(self, file: str, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._count = 0
        self._constructor = yaml.constructor.SafeConstructor()

    def convert(self, node: yaml.Node, depth: int) -> Marked:
        self._count += 1
        if self._count > MAX_NODES:
            raise _TooMuch(f"more than {MAX_NODES} values, counting those of aliases")
        if depth > MAX_DEPTH:
            raise _TooMuch(f"nested deeper than {MAX_DEPTH} levels")
        place = self._place(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            return Marked(tuple(self.convert(one, depth + 1) for one in node.value), place, {})
        return Marked(self._scalar(node, place), place, {})

    def _mapping(self, node: yaml.MappingNode, place: SourceLocation, depth: int) -> Marked:
        values: dict[str, Marked] = {}
        keys: dict[str, SourceLocation] = {}
        for key_node, value_node in node.value:
            key_place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._findings.add(key_place, "a key must be text", hint="write: key: value")
                continue
            key = str(key_node.value)
            if key in values:
                first = keys[key].line
                self._findings.add(
                    key_place, f"{key!r} appears twice, first on line {first}", hint="remove one of them"
                )
                continue
            keys[key] = key_place
            values[key] = self.convert(value_node, depth + 1)
        return Marked(values, place, keys)

    def _scalar(self, node: yaml.Node, place: SourceLocation) -> object:
        if "\0" in node.value:
            self._findings.add(place, "a text contains a NUL character", hint="remove the \\0 from it")
            return ""
        if node.tag in _TEXTS:
            return str(node.value)
        if node.tag not in _SCALARS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._findings.add(place, f"the tag {tag} is not allowed", hint="remove the tag")
            return str(node.value)
        try:
            return self._constructor.construct_object(node)
        except (ValueError, LookupError, ArithmeticError, yaml.YAMLError):
            kind = node.tag.rpartition(":")[2]
            shown = repr(node.value) if len(node.value) <= MAX_SHOWN else f"{node.value[:MAX_SHOWN]!r}…"
            self._findings.add(place, f"{shown} is not a valid {kind} of YAML", hint='put it in quotes: "…"')
            return str(node.value)

    def _place(self, node: yaml.Node) -> SourceLocation:
        return SourceLocation(self._file, node.start_mark.line + 1)
