"""Counts words, the most frequent first."""

from wordcount.counting import count_words

__all__ = ["count_words"]
