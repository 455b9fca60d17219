"""A tree of path segments, so that the time to find a route does not grow with the number of routes.

Segments are decoded after the path was split at its slashes, so that an encoded slash stays inside its segment, where
the parameter's pattern rejects it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import unquote

Value = TypeVar("Value")

MAX_SEGMENTS = 12
"""The longest path of the table has six."""


class _Node(Generic[Value]):
    __slots__ = ("children", "name", "parameter", "rest", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Value]] = {}
        self.parameter: _Node[Value] | None = None
        self.rest = False
        self.name = ""
        self.value: Value | None = None


class RouteTree(Generic[Value]):
    """patterns: the regular expression of each path parameter, by name."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}
        self._root: _Node[Value] = _Node()

    def place(self, path: str, make: Callable[[], Value]) -> Value:
        """The value at a path of the table; the first call makes it."""
        node = self._root
        for word in path.split("/")[1:]:
            if word.startswith("{"):
                if node.parameter is None:
                    node.parameter = _Node()
                    node.parameter.name = word.strip("{*}")
                    node.parameter.rest = word.endswith("*}")
                node = node.parameter
            else:
                node = node.children.setdefault(word, _Node())
        if node.value is None:
            node.value = make()
        return node.value

    def find(self, path: str) -> tuple[Value, dict[str, str]] | None:
        """The value at a request's path and the decoded path parameters; None if there is no such path."""
        node, arguments = self._root, dict[str, str]()
        words = path.split("/", MAX_SEGMENTS)[1:]
        for index, word in enumerate(words):
            child = node.children.get(word)
            if child is not None:
                node = child
                continue
            if node.parameter is None:
                return None
            node = node.parameter
            text = "/".join(words[index:]) if node.rest else _decoded(word)
            if text is None or not self._patterns[node.name].fullmatch(text):
                return None
            arguments[node.name] = text
            if node.rest:
                break
        return None if node.value is None else (node.value, arguments)


def _decoded(word: str) -> str | None:
    if "%" not in word:
        return word
    try:
        return unquote(word, errors="strict")
    except UnicodeDecodeError:
        return None
