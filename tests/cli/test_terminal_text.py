"""No control sequence of a job's output or message reaches the terminal, but colours."""

import ast
import io
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danube_pkg.cli.job_output import LivePrinter, print_end
from danube_pkg.cli.main import main
from danube_pkg.cli.output import one_line, print_error
from danube_pkg.core.errors import NotFound
from danube_pkg.kit.terminal import VisibleText, json_text, visible
from tests.support.server import ROOT

HOSTILE = {
    "clipboard": ("\x1b]52;c;ZXZpbA==\x07", "^[]52;c;ZXZpbA==^G"),
    "title": ("\x1b]0;title\x07", "^[]0;title^G"),
    "link": ("\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\", "^[]8;;javascript:alert(1)^[\\link^[]8;;^[\\"),
    "screen": ("\x1b[?1049h", "^[[?1049h"),
    "cursor": ("a\x1b[2A\x1b[2Kb", "a^[[2A^[[2Kb"),
    "device": ("\x1bP$q\x1b\\", "^[P$q^[\\"),
    "C1": ("\x9b2J\x90", "<U+009B>2J<U+0090>"),
    "backspace": ("ok\b\b!", "ok^H^H!"),
    "carriage return": ("failure\rsuccess", "failure\nsuccess"),
    "direction": ("a\u202etxt.exe\u2066", "a<U+202E>txt.exe<U+2066>"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sequence_becomes_visible_text_in_whatever_parts_it_comes(name: str) -> None:
    text, shown = HOSTILE[name]
    assert visible(text) == shown
    parts = VisibleText()
    assert "".join(parts.text(one) for one in text) + parts.text("", final=True) == shown
    data = VisibleText()
    raw = text.encode()
    assert "".join(data.decoded(raw[at : at + 1]) for at in range(len(raw))) + data.decoded(b"", final=True) == shown


def test_colours_tabs_and_line_ends_pass() -> None:
    text = "\x1b[1;31mred\x1b[0m\tand \x1b[38:2::1:2:3mmore\x1b[m\r\nß → 漢字 👩‍💻\n"
    assert visible(text) == text


@given(st.text(), st.lists(st.integers(0, 40)))
def test_nothing_that_controls_a_terminal_is_left(text: str, cuts: list[int]) -> None:
    parts = VisibleText()
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    shown = "".join(map(parts.text, pieces)) + parts.text("", final=True)
    assert shown == visible("".join(pieces))
    assert not [one for one in shown if ord(one) < 32 and one not in "\n\r\t\x1b"]
    assert shown.replace("\r\n", "").count("\r") == 0


def test_the_live_output_of_a_job_is_made_visible_and_raw_on_request() -> None:
    out, raw = io.StringIO(), io.StringIO()
    for stream, is_raw in ((out, False), (raw, True)):
        printer = LivePrinter(stream, raw=is_raw)
        printer.feed(b"one \x1b]0;t")
        printer.feed(b"itle\x07\n--- job success in 1.0 s\n\x1b[?10")
        printer.close()
    assert out.getvalue() == "one ^[]0;title^G\n--- job success in 1.0 s\n^[[?10\n"
    assert raw.getvalue() == "one \x1b]0;title\x07\n--- job success in 1.0 s\n\x1b[?10\n"


def test_messages_and_errors_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFound("x", "registry said \x1b]0;evil\x07", hint="see \x1b[2J")
    print_error(error)
    job = {"pipeline": "app", "status": "failure", "reason": "", "message": "why \x1b[2J \u202e", "hint": "h \x1b[2J"}
    print_end(job)
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert "registry said ^[]0;evil^G" in err
    assert one_line("a\u202eb\x1b[2Jc") == "a b [2Jc"


def test_json_is_readable_and_controls_nothing() -> None:
    value = {"text": "ß \x1b[2J \x9b2J \u202e \x7f"}
    assert json_text(value) == '{"text": "ß \\u001b[2J \\u009b2J \\u202e \\u007f"}'
    assert json.loads(json_text(value)) == value


PRINTING = {"output.py", "progress.py", "main.py"}
"""`say` and tables; a line that is redrawn; the version."""


def test_every_command_prints_what_it_has_from_others_as_visible_text() -> None:
    """By `say`: a `print` of a name from a repository or a job would be a hole."""
    found = []
    for path in sorted((ROOT / "danube_pkg" / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(path.name)
    assert set(found) <= PRINTING


def test_names_in_a_danubefile_and_in_findings_are_made_visible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "danubefile.py"
    name = r"\x1b]0;evil\x07"
    file.write_text(
        f'from danube import pipeline, step\n\n@pipeline(name="{name}")\ndef build():\n'
        f'    step.run("false | true", name="{name}", image="{name}")\n'
    )
    main(["validate", str(file)])
    broken = tmp_path / "pipelines.yaml"
    broken.write_text(
        'apiVersion: danube.dev/v1\nkind: "\\u001b]0;evil\\u0007"\nmetadata: {name: "\\u001b[2J"}\nspec: {}\n'
    )
    main(["validate", str(tmp_path)])
    printed = capsys.readouterr()
    assert "evil" in printed.out
    assert "\x1b" not in printed.out + printed.err
