"""What a shell shows: secrets are masked, and characters that are typed do not wait for ever."""

from danube_pkg.core.logs.redaction import Patterns
from danube_pkg.core.logs.terminal_mask import TerminalMask

SECRET = b"hunter22-hunter22"


def a_mask() -> TerminalMask:
    return TerminalMask(Patterns([SECRET], mask_emails=True))


def test_a_secret_is_masked_however_it_is_divided() -> None:
    for cut in range(1, len(SECRET)):
        mask = a_mask()
        shown = mask.feed(b"$ " + SECRET[:cut]) + mask.feed(SECRET[cut:] + b"\r\n") + mask.end()
        assert shown == b"$ ***\r\n", cut


def test_a_short_beginning_is_shown_after_a_pause_and_the_rest_is_masked_all_the_same() -> None:
    mask = a_mask()
    assert (mask.feed(b"$ hun"), mask.is_holding) == (b"$ ", True)
    assert (mask.after_pause(), mask.is_holding) == (b"hun", False)
    assert mask.feed(b"t the bug\r\n") == b"t the bug\r\n"
    mask = a_mask()
    shown = mask.feed(b"hun") + mask.after_pause() + mask.feed(SECRET[3:] + b"\r\n") + mask.end()
    assert SECRET[3:] not in shown
    assert shown.startswith(b"hun***")


def test_a_longer_beginning_waits_for_what_follows() -> None:
    mask = a_mask()
    assert (mask.feed(SECRET[:8]), mask.is_holding, mask.after_pause()) == (b"", False, b"")
    assert mask.feed(b"x\r\n") == SECRET[:8] + b"x\r\n"


def test_words_do_not_wait_as_the_beginning_of_an_address() -> None:
    assert a_mask().feed(b"$ someone") == b"$ someone"
