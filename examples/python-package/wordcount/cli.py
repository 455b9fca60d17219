"""The command line: text on standard input, counts on standard output."""

import sys

from wordcount.counting import count_words


def main() -> None:
    for word, count in count_words(sys.stdin.read()):
        print(f"{count:6} {word}")
