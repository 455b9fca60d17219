"""A search finds what is seen, counts exactly, and never says "nothing" for a part that was not searched."""

from pathlib import Path

import pytest

from danube_pkg.adapters.logs import searching
from danube_pkg.adapters.logs.searching import search_log, seen
from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import shown_lines


def search(path: Path, data: bytes, text: str, *, begin: int = 0, limit: int = 100, case: bool = False) -> Found:
    path.write_bytes(data)
    return search_log(path, [(0, len(data))], text, begin, limit, case)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "job.log"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\x1b[31mFAILED\x1b[0m tests/test_ship", "FAILED tests/test_ship"),
        (b"\x1b[38;5;196;1mFA\x1b[mILED", "failed"),
        (b"\x1b]8;;https://example.org\x1b\\report\x1b]8;;\x1b\\ here", "report here"),
        (b"10 %\r50 %\r100 % done", "100 % done"),
        (b"windows line\r", "windows line"),
        (b"\x1b[2K\rlast\x1b[K", "last"),
        ("grün ✓".encode(), "ün ✓"),
        ("ÄRGER in Straße".encode(), "ärger in stra"),
        ("cafe\u0301 und U\u0308bung".encode(), "Café und übung"),
        ("Über".encode(), "U\u0308b"),
        (b"a.b*c", "a.b*c"),
    ],
)
def test_what_is_seen_is_found(log: Path, line: bytes, text: str) -> None:
    data = b"first\n\x1b[1mcoloured\x1b[0m\n" + line + b"\nend\n"
    found = search(log, data, text)
    assert [hit.line for hit in found.hits] == [3]
    assert found.hits[0].offset == data.index(line)
    assert "\x1b" not in found.hits[0].text
    assert (found.count, found.next, found.searched) == (1, None, len(data))


def test_upper_and_lower_case_differ_where_they_are_asked_to(log: Path) -> None:
    data = "Über\nüber\nÜBER\n".encode()
    assert [hit.line for hit in search(log, data, "über").hits] == [1, 2, 3]
    assert [hit.line for hit in search(log, data, "über", case=True).hits] == [2]


def test_what_a_carriage_return_hides_is_not_found(log: Path) -> None:
    assert search(log, b"10 %\r100 %\n", "10 %\r").hits == ()
    assert search(log, b"downloading\rdone\n", "downloading").hits == ()


def test_the_seen_text_is_that_of_the_page() -> None:
    data = b"a\rb\r\nplain\n\r\n10 %\r\r20 %\n\nopen\rend"
    assert seen(data).decode().split("\n") == [line.text for line in shown_lines(data, 0)]


def test_hits_beyond_the_limit_are_counted_and_can_be_read(log: Path) -> None:
    data = b"".join(b"\x1b[1mline\x1b[0m %d\n" % number for number in range(2500))
    numbers = list[int]()
    begin: int | None = 0
    first = search(log, data, "line", limit=1000)
    assert (first.count, first.searched) == (2500, len(data))
    while begin is not None:
        page = search(log, data, "line", begin=begin, limit=1000)
        numbers += [hit.line for hit in page.hits]
        begin = page.next
    assert numbers == list(range(1, 2501))


def test_a_search_that_ran_out_of_time_says_where_to_continue(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SECONDS", -1.0)
    monkeypatch.setattr(searching, "CHUNK_BYTES", 1000)
    data = b"nothing\n" * 1000 + b"the only one\n"
    pages, hits = 0, list[int]()
    begin: int | None = 0
    while begin is not None:
        found = search(log, data, "the only one", begin=begin)
        assert (found.next is None) == (found.searched == len(data))
        hits += [hit.line for hit in found.hits]
        begin, pages = found.next, pages + 1
    assert hits == [1001]
    assert pages > 5


def test_a_step_is_searched_with_lines_and_offsets_of_its_own(log: Path) -> None:
    data = b"one\ntwo error\nerror three\nfour\nerror five\n"
    log.write_bytes(data)
    parts = [(data.index(b"error three"), data.index(b"four")), (data.index(b"error five"), len(data))]
    found = search_log(log, parts, "error", 0, 10, True)
    assert [(hit.line, hit.offset, hit.text) for hit in found.hits] == [(1, 0, "error three"), (2, 12, "error five")]


def test_a_line_longer_than_a_chunk_is_searched(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "CHUNK_BYTES", 100)
    data = b"x" * 150 + b"needle" + b"x" * 30 + b"\nafter needle\n"
    assert [hit.line for hit in search(log, data, "needle").hits] == [1, 2]
