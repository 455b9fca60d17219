"""Clear values of secrets in records that are stored."""

from danube_pkg.core.logs.clear_text import clear_texts, masked_record, masked_text
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.webhooks.events import Push, WebhookRepository

TOKEN = b"Kx9-part-of-nothing\n"
KEY = b"-----BEGIN KEY-----\nQ2xlYXIgdGV4dCBvZiBhIGtleQ\nd2l0aCBzZXZlcmFsIGxpbmVz\n-----END KEY-----\n"


def test_each_text_of_a_record_is_masked_and_numbers_are_left() -> None:
    repository = WebhookRepository("team/Kx9-part-of-nothing", ("https://u:Kx9-part-of-nothing@forge/app",), 12345678)
    push = Push(repository, "b-Kx9-part-of-nothing", "a" * 40, "me", 'said "Kx9-part-of-nothing"\nand é')
    masked = masked_record(push, clear_texts([TOKEN, b"12345678901"]))
    assert masked == Push(
        WebhookRepository("team/***", ("https://u:***@forge/app",), 12345678),
        "b-***",
        "a" * 40,
        "me",
        'said "***"\nand é',
    )
    assert masked_record(push, clear_texts([b"Kx9-another-value"])) is push


def test_a_value_that_another_one_contains_leaves_nothing_of_it() -> None:
    texts = clear_texts([b"Kx9-part", b"Kx9-part-of-nothing"])
    assert masked_text("<Kx9-part-of-nothing> <Kx9-part>", texts) == "<***> <***>"


def test_the_lines_of_a_key_are_masked_alone() -> None:
    assert masked_text("a Q2xlYXIgdGV4dCBvZiBhIGtleQ b", clear_texts([KEY])) == "a *** b"


def test_an_ordinary_word_is_left_since_it_may_be_a_branch() -> None:
    main = Revision("b" * 40, "refs/heads/main", "main")
    assert masked_record(main, clear_texts([b"main", b"refs", b"production"])) == main
