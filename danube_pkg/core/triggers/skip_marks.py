"""Whether a commit asks that nothing is started for it: `[skip ci]` in its subject, or in its trailer.

The body is free text, which may quote the mark (a changelog, a revert, a discussion of it). The trailer is the last
paragraph if each of its lines is `Key: value` or the mark itself; `skip-checks: true` is GitHub's trailer.
https://docs.github.com/en/actions/how-tos/manage-workflow-runs/skip-workflow-runs
"""

import re

_MARK = re.compile(r"\[(skip ci|ci skip)\]", re.IGNORECASE)
_TRAILER = re.compile(r"[A-Za-z0-9-]+:\s*\S.*")
_TRAILER_MARK = re.compile(r"skip-(ci|checks):\s*true", re.IGNORECASE)


def skip_mark(message: str) -> str:
    """The mark in a commit's whole message; "" where there is none that counts."""
    paragraphs = [part.strip().splitlines() for part in re.split(r"\n\s*\n", message.strip())]
    if found := _MARK.search(paragraphs[0][0] if paragraphs[0] else ""):
        return found.group(0)
    lines = [line.strip() for line in paragraphs[-1]] if len(paragraphs) > 1 else []
    if not all(_MARK.fullmatch(line) or _TRAILER.fullmatch(line) for line in lines):
        return ""
    return next((line for line in lines if _MARK.fullmatch(line) or _TRAILER_MARK.fullmatch(line)), "")
