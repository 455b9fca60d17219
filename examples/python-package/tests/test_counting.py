"""Counting words."""

# ruff: noqa: PT009 - the standard library's own assertions: the example needs nothing else

import unittest

from wordcount import count_words


class Counting(unittest.TestCase):
    def test_the_most_frequent_word_is_first(self) -> None:
        self.assertEqual(count_words("the river and the sea"), [("the", 2), ("and", 1), ("river", 1), ("sea", 1)])

    def test_case_and_punctuation_do_not_matter(self) -> None:
        self.assertEqual(count_words("Don't! DON'T, don't."), [("don't", 3)])

    def test_words_of_any_alphabet_count(self) -> None:
        self.assertEqual(count_words("Дунав тече, Дунав пее"), [("дунав", 2), ("пее", 1), ("тече", 1)])

    def test_no_text_has_no_words(self) -> None:
        self.assertEqual(count_words(" 12 -- \n"), [])


if __name__ == "__main__":
    unittest.main()
