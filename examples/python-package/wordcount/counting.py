"""The counting itself."""

import re
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def count_words(text: str) -> list[tuple[str, int]]:
    """Words in lower case with their counts: the most frequent first, equal ones by the alphabet."""
    counts = Counter(word.casefold() for word in _WORD.findall(text))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
