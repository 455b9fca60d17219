"""What documents say that code can contradict: commands, flags, variables, targets, endpoints, settings, paths."""

import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tidy.tree import Source, sources

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")

SHELL = ("sh", "console", "bash")


@dataclass(frozen=True)
class Block:
    """A fenced block and its language."""

    language: str
    text: str


def documents() -> Iterator[Source]:
    """What people read."""
    return (source for source in sources() if source.name.endswith(".md"))


def blocks(document: Source) -> list[Block]:
    """The fenced blocks."""
    return [Block(language, text) for language, text in _FENCE.findall(document.text)]


def spans(document: Source) -> list[str]:
    """What stands in backticks within the text."""
    return _SPAN.findall(_FENCE.sub("", document.text))


def command_lines(document: Source) -> list[str]:
    """Each line of a shell block, and each span, that may be a command; lines that a backslash continues are joined."""
    shell = [block.text.replace("\\\n", " ") for block in blocks(document) if block.language in SHELL]
    return [line.strip().removeprefix("$ ") for text in shell for line in text.splitlines()] + spans(document)


def make_targets(document: Source) -> Iterator[str]:
    """Each target of a `make` that is named."""
    for line in command_lines(document):
        for used in re.finditer(r"(?:^|[|&;(]\s*)make ([^|&;#]*)", line):
            yield from (word for word in used.group(1).split() if re.fullmatch(r"[a-z][a-z0-9-]*", word))


def variables(document: Source) -> set[str]:
    """Environment variables of Danube's own."""
    return set(re.findall(r"\bDANUBE_[A-Z_]+\b", document.text))


def endpoints(document: Source) -> Iterator[str]:
    """Paths of the API: `GET /api/v1/jobs`, `/health`."""
    for span in spans(document):
        if found := re.fullmatch(r"(?:(?:GET|POST|PUT|DELETE) )?(/(?:api/v1|health)[\w/{}.-]*)(?:\?.*)?", span):
            yield found.group(1)


def paths(document: Source) -> Iterator[str]:
    """Spans that look like files or directories of a repository."""
    for span in spans(document):
        if re.fullmatch(r"[\w.-]+(/[\w.*-]+)*/?", span) and (
            "/" in span or re.search(r"\.(py|md|toml|lock|c|proto)$", span)
        ):
            yield span


def unknown_names(document: Source, known: set[str]) -> set[str]:
    """Names in the Python samples that do not exist. `known`: those of the code; a span `name: type = value` adds
    one."""
    used: set[str] = set()
    defined = {found[1] for span in spans(document) if (found := re.match(r"(\w+): .* = ", span))}
    for block in blocks(document):
        if block.language == "python":
            tokens = list(tokenize.generate_tokens(io.StringIO(block.text).readline))
            for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
                if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                    introduced = before.string in ("def", "class", "for") or after.string == "="
                    (defined if introduced else used).add(token.string)
    return used - defined - known
