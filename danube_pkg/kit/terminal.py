"""Text of others on the user's terminal: colours pass, every other control sequence becomes visible text.

Output of steps, commit messages and error texts may hold sequences that write to the clipboard, set the title, switch
the screen or hide text (ECMA-48, xterm's control sequences), and characters that change the direction of text
(Unicode UAX #9). None of them reaches the terminal.
"""

import codecs
import json
import re

_COLOUR = r"\x1b\[[0-9;:]{0,64}m"
"""SGR, select graphic rendition (ECMA-48, section 8.3.117)."""

_SPECIAL = re.compile(
    rf"(?P<kept>{_COLOUR}|\r?\n)|(?P<return>\r)|(?P<control>[\x00-\x08\x0b-\x1f\x7f])"
    r"|(?P<named>[\x80-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f])"
)
_UNFINISHED = re.compile(r"(?:\x1b(?:\[[0-9;:]{0,64})?|\r)\Z")


def visible(text: str) -> str:
    """The text with control characters in caret notation (`^[`), others by their number (`<U+202E>`), colours as they
    are. A carriage return begins a new line, so that no text replaces what was printed."""
    return _SPECIAL.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    text = found.group()
    if found.lastgroup == "kept":
        return text
    if found.lastgroup == "return":
        return "\n"
    return f"^{chr(ord(text) ^ 0x40)}" if found.lastgroup == "control" else f"<U+{ord(text):04X}>"


_NOT_IN_JSON = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f]")


def json_text(value: object) -> str:
    """JSON on one line, readable, with every character that controls a terminal escaped. What JSON does not know
    becomes its text."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return _NOT_IN_JSON.sub(lambda found: json.dumps(found.group())[1:-1], text)


class VisibleText:
    """`visible` for text that comes in parts: the beginning of a sequence waits for its end."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def decoded(self, data: bytes, *, final: bool = False) -> str:
        """Bytes of a log as text for the terminal."""
        return self.text(self._decoder.decode(data, final), final=final)

    def text(self, text: str, *, final: bool = False) -> str:
        """The next part. final: no other one follows."""
        text = self._held + text
        unfinished = None if final else _UNFINISHED.search(text)
        end = unfinished.start() if unfinished is not None else len(text)
        self._held = text[end:]
        return visible(text[:end])
