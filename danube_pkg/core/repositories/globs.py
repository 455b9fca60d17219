"""Patterns with `*` and `?` over branches, paths and repositories."""

import re
from functools import lru_cache


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches the whole text. `*`: any text without `/`; `**`: any text; `?`: one character but `/`;
    a leading `**/` also matches the empty text."""
    return _compiled(pattern, False).fullmatch(text) is not None


def matches_across(pattern: str, text: str) -> bool:
    """The same where `*` matches `/` too, and the case does not count, as for hosts and forges."""
    return _compiled(pattern.lower(), True).fullmatch(text.lower()) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str, across: bool) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            parts.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            parts.append(".*")
            at += 2
        elif pattern[at] == "*":
            parts.append(".*" if across else "[^/]*")
            at += 1
        elif pattern[at] == "?":
            parts.append("." if across else "[^/]")
            at += 1
        else:
            parts.append(re.escape(pattern[at]))
            at += 1
    return re.compile("".join(parts), re.DOTALL)
