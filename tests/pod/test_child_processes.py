"""Children of the danubefile's process: they cannot use the job, and only the process itself can finish it."""

import os
import sys
from pathlib import Path

import pytest

from danube import _process
from danube_pkg.pod.own_process import flush, say
from danube_pkg.pod.script import Outcome
from tests.pod.test_script import pipeline_of, run, session
from tests.sdk.session import RecordingSession

__all__ = ["session"]


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "_own", os.getpid())


def forking(in_child: str) -> str:
    """A danubefile whose child does that, and whose parent then runs a step with the child's exit code in its name."""
    return "import os, sys\n" + pipeline_of(
        "handle = step.start('true', name='open')",
        "if os.fork() == 0:",
        f"    {in_child}",
        "_, status = os.wait()",
        "handle.wait()",
        "step.run('true', name=f'child {os.waitstatus_to_exitcode(status)}')",
    )


@pytest.mark.parametrize(
    ("in_child", "code"),
    [
        ("return", 0),
        ("sys.exit(0)", 0),
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('broken')", 1),
        ("raise ValueError('broken')", 1),
        ("step.run('false')", 1),
    ],
)
def test_a_child_that_comes_back_ends_itself_and_not_the_job(
    session: RecordingSession, in_child: str, code: int
) -> None:
    assert run(session, forking(in_child)) == Outcome()
    assert [call.name for call in session.calls] == ["open", f"child {code}"]


def test_a_child_that_returned_makes_no_red_step_green(session: RecordingSession) -> None:
    lines = ("if os.fork() == 0:", "    return", "os.wait()", "raise ValueError('red')")
    assert run(session, "import os\n" + pipeline_of(*lines)).reason == "script-error"


@pytest.mark.parametrize(
    "call",
    [
        "step.run('true')",
        "step.start('true')",
        "secrets.get('TOKEN')",
        "artifacts.upload('danubefile.py', name='x')",
        "handle.wait()",
    ],
)
def test_every_call_of_a_child_is_refused_with_a_hint(session: RecordingSession, call: str) -> None:
    text = "import os\nfrom danube import artifacts\n" + pipeline_of(
        "handle = step.start('true')",
        "if os.fork() == 0:",
        "    try:",
        f"        {call}",
        "    except BaseException as error:",
        "        open('said', 'w').write(f'{error.reference}|{error}')",
        "    os._exit(0)",
        "os.wait()",
        "handle.wait()",
    )
    assert run(session, text) == Outcome()
    reference, said = (Path(session.workspace) / "said").read_text().split("|")
    assert reference == "not-the-danubefiles-process"
    assert "hint: hand the child's result to its parent" in said
    assert len(session.calls) == 1


def test_workers_of_multiprocessing_compute_and_know_the_context(session: RecordingSession) -> None:
    text = "import multiprocessing\nfrom danube import ctx\n" + pipeline_of(
        "with multiprocessing.get_context('fork').Pool(2) as pool:",
        "    found = pool.map(compute, [1, 2])",
        "step.run('true', name=','.join(found))",
    )
    text += "\ndef compute(number):\n    return f'{ctx.branch}{number}'\n"
    assert run(session, text) == Outcome()
    assert [call.name for call in session.calls] == ["main1,main2"]


def test_spawned_workers_of_multiprocessing_compute_and_are_not_the_job(session: RecordingSession) -> None:
    """They import the danubefile again, and are neither outside a job nor the process that runs it."""
    text = "import multiprocessing\nfrom danube import ctx\n" + pipeline_of(
        "with multiprocessing.get_context('spawn').Pool(1) as pool:",
        "    for said in pool.map(attempt, ['compute', 'context', 'step']):",
        "        step.run('true', name=said)",
    )
    text += """
def attempt(what):
    try:
        if what == 'step':
            step.run('false')
        return str(6 * 7) if what == 'compute' else ctx.branch
    except Exception as error:
        return f'{error.reference}: {error.what}'
"""
    assert run(session, text) == Outcome()
    assert [call.name for call in session.calls] == [
        "42",
        "not-the-danubefiles-process: a process that multiprocessing has spawned does not know the job",
        "not-the-danubefiles-process: a child of the danubefile's process cannot use the job",
    ]


def test_a_closed_or_replaced_output_does_not_change_the_outcome(
    session: RecordingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - the danubefile closes them
    assert run(session, "import sys\n" + pipeline_of("sys.stdout.close()", "sys.stderr.close()")) == Outcome()
    flush()
    assert run(session, pipeline_of("raise ValueError('x')")).message == "ValueError: x (danubefile.py:5)"
    monkeypatch.setattr(sys, "stderr", object())
    monkeypatch.setattr(sys, "stdout", None)
    flush()
    assert run(session, pipeline_of("raise ValueError('y')")).message == "ValueError: y (danubefile.py:5)"


def test_a_message_arrives_though_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("the server was unreachable")
    assert capfd.readouterr().err == "the server was unreachable\n"
