"""Running a danubefile: every result and every mistake is an Outcome, with file and line of the author's code."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from danube._errors import DanubeError
from danube._results import StepResult
from danube._session import StepCall

from danube import _kept_on_failure, _open_steps, _session
from danube_pkg.pod.script import NO_PACKAGES, Outcome, run_script
from tests.sdk.session import RecordingSession, fail

CASES = Path(__file__).resolve().parents[1] / "sdk" / "cases"
HEAD = "from danube import artifacts, pipeline, secrets, step\n\n"


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingSession]:
    """A job in `tmp_path`; what a script changes of this process is restored."""
    made = RecordingSession(tmp_path)
    monkeypatch.setattr(_session, "_current", made)
    monkeypatch.setattr(_open_steps, "without_end", {})
    _open_steps.failed.clear()
    _kept_on_failure.registered.clear()
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        del sys.modules[name]


def run(session: RecordingSession, text: str | bytes, name: str = "danubefile.py") -> Outcome:
    path = Path(session.workspace) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run_script(Path(session.workspace), name)


def pipeline_of(*lines: str) -> str:
    return f"{HEAD}@pipeline(name='t')\ndef build():\n" + "".join(f"    {line}\n" for line in lines)


def test_a_pipeline_that_returns_succeeds(session: RecordingSession) -> None:
    assert run(session, pipeline_of("step.run('make')")) == Outcome()
    assert [call.command for call in session.calls] == ["make"]


def test_a_step_has_the_pipelines_shell_unless_it_names_one(session: RecordingSession) -> None:
    text = pipeline_of("step.run('a')", "step.start('b', shell='sh').wait()")
    assert run(session, text.replace("name='t'", "name='t', shell='bash -euo pipefail'")) == Outcome()
    assert run(session, pipeline_of("step.run('c')")) == Outcome()
    assert [call.shell for call in session.calls] == ["bash -euo pipefail", "sh", ""]


def test_a_step_has_the_pipelines_variables_unless_it_replaces_them(session: RecordingSession) -> None:
    text = pipeline_of("step.run('a')", "step.run('b', env={'LEVEL': 'debug', 'C': '3'})")
    assert run(session, text.replace("name='t'", "name='t', env={'LEVEL': 'info', 'A': '1'}")) == Outcome()
    assert run(session, pipeline_of("step.run('c')")) == Outcome()
    assert [call.environment for call in session.calls] == [
        {"LEVEL": "info", "A": "1"},
        {"LEVEL": "debug", "A": "1", "C": "3"},
        {},
    ]


def test_a_step_that_has_not_reached_the_server_is_open(session: RecordingSession) -> None:
    returned = threading.Event()

    def late(call: StepCall) -> StepResult:
        returned.wait(30)
        return StepResult(call.name, "success", 0, 0.0)

    session.ends["left open"] = late
    outcome = run(session, pipeline_of("step.run('true')", "step.start('make', name='left open')"))
    returned.set()
    assert outcome.reason == "step-open"
    assert outcome.step == 2
    assert "left open" in outcome.message


def test_a_step_that_was_refused_and_not_waited_for_fails_the_job(session: RecordingSession) -> None:
    def refused(call: StepCall) -> StepResult:
        raise DanubeError("too-many-steps", "a job has at most 2000 steps")

    session.ends["refused"] = refused
    assert run(session, pipeline_of("step.start('make', name='refused')")).reason == "step-open"


@pytest.mark.parametrize(
    ("reference", "reason"), [("step-too-large", ""), ("too-many-steps", ""), ("server-lost", "step-open")]
)
def test_a_refused_step_that_the_author_handles_is_not_open(
    session: RecordingSession, reference: str, reason: str
) -> None:
    def refused(call: StepCall) -> StepResult:
        raise DanubeError(reference, "the environment is too large")

    session.ends["refused"] = refused
    text = pipeline_of(
        "try:", "    step.run('make', name='refused')", "except Exception:", "    step.run('make less', name='less')"
    )
    assert run(session, text).reason == reason
    assert session.ended == ["refused", "less"]


def test_the_danubefile_that_uses_the_whole_sdk_runs(
    session: RecordingSession, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(CASES / "uses_everything.py", Path(session.workspace) / "danubefile.py")
    (Path(session.workspace) / "dist").mkdir()
    session.secrets["TOKEN"] = b"correct horse"
    session.ends["Deploy"] = fail
    outcome = run_script(Path(session.workspace), "danubefile.py")
    assert outcome == Outcome()
    assert [call.name for call in session.calls].count("make docs") == 1
    assert list(session.uploads) == ["dist"]
    assert "3 step-failed" in capsys.readouterr().out


def test_a_missing_file_is_named(session: RecordingSession) -> None:
    assert run_script(Path(session.workspace), "ci/danubefile.py") == Outcome(
        "script-missing", "the repository has no file ci/danubefile.py"
    )


def test_a_syntax_error_has_its_line(session: RecordingSession, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(session, HEAD + "def build(:\n")
    assert outcome.reason == "script-invalid"
    assert outcome.message.startswith("danubefile.py:3: ")
    assert "def build(:" in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_a_file_that_is_not_text_is_a_syntax_error(session: RecordingSession, text: bytes) -> None:
    assert run(session, text).reason == "script-invalid"


def test_text_in_utf_16_gets_a_message_about_its_encoding(session: RecordingSession) -> None:
    message = "danubefile.py: it has NUL bytes, as UTF-16 text does: save it as UTF-8"
    assert run(session, HEAD.encode("utf-16")) == Outcome("script-invalid", message)


def test_code_that_is_nested_too_deeply_is_invalid(session: RecordingSession) -> None:
    for text in ("(" * 5000 + ")" * 5000, "-" * 200_000 + "1", "x" + ".a" * 200_000):
        assert run(session, text).reason == "script-invalid"


def test_no_pipeline_and_two_pipelines_are_named(session: RecordingSession) -> None:
    assert run(session, "print('nothing here')\n") == Outcome(
        "pipeline-missing", "danubefile.py must mark exactly one function with @pipeline; found: none"
    )
    two = HEAD + "@pipeline(name='a')\ndef a(): ...\n\n@pipeline(name='b')\ndef b(): ...\n"
    assert run(session, two).message.endswith("found: a, b")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("async def build():\n    step.run('exit 1')", "build is async; a pipeline must not be"),
        ("async def build():\n    yield step.run('exit 1')", "build is async; a pipeline must not be"),
        ("def build():\n    yield step.run('exit 1')", "build is a generator; a pipeline must not be"),
        ("def build(target='all'):\n    step.run('exit 1')", "build takes arguments; a pipeline must not"),
        ("class build:\n    pass", "a pipeline must be a function; build is a class"),
    ],
)
def test_a_function_that_a_call_would_not_run_is_refused_where_it_is_marked(
    session: RecordingSession, function: str, message: str
) -> None:
    outcome = run(session, f"{HEAD}@pipeline(name='t')\n{function}\n")
    assert outcome.reason == "script-invalid"
    assert outcome.message.startswith(message)
    assert "(danubefile.py:3)" in outcome.message
    assert session.calls == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import functools\nbuild = pipeline(name='t')(functools.partial(step.run, 'true'))\n", "of type partial"),
        (pipeline_of("return (step.run(one) for one in ('false',))"), "returned a value of type generator"),
        (pipeline_of("async def later(): step.run('false')", "return later()"), "returned an awaitable"),
        (pipeline_of("return 0"), "returned a value of type int"),
        (
            "import functools\n"
            "def asynchronous(function):\n"
            "    @functools.wraps(function)\n"
            "    async def wrapper(): function()\n"
            "    return wrapper\n" + pipeline_of("step.run('false')").replace("@pipeline", "@asynchronous\n@pipeline"),
            "build is async",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_result_other_than_none_is_refused(session: RecordingSession, text: str, what: str) -> None:
    outcome = run(session, text if text.startswith(HEAD) else HEAD + text)
    assert outcome.reason == "script-invalid"
    assert what in outcome.message
    assert session.calls == []


def test_an_async_function_under_a_decorator_that_runs_it_is_a_pipeline(session: RecordingSession) -> None:
    text = (
        "import asyncio, functools\n"
        "def runs(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args, **kwargs): asyncio.run(function(*args, **kwargs))\n"
        "    return wrapper\n"
        "@pipeline(name='t')\n@runs\nasync def build():\n    step.run('make')\n"
    )
    assert run(session, HEAD + text) == Outcome()
    assert [call.command for call in session.calls] == ["make"]


def test_a_pipeline_that_hides_another_of_its_name_is_a_second_one(session: RecordingSession) -> None:
    text = pipeline_of("step.run('false')") + "@pipeline(name='u')\ndef build(): ...\n"
    assert run(session, text).message.endswith("found: build, build")
    assert session.calls == []


def test_a_second_name_of_the_same_function_is_not_a_second_pipeline(session: RecordingSession) -> None:
    assert run(session, pipeline_of("pass") + "main = build\n") == Outcome()


def test_a_traceback_has_the_authors_frames_only(session: RecordingSession, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(session.workspace) / "library.py").write_text("def deep(text):\n    return int(text)\n")
    text = "import library\n" + pipeline_of("library.deep('seven')")
    outcome = run(session, text)
    assert outcome == Outcome(
        "script-error", "ValueError: invalid literal for int() with base 10: 'seven' (library.py:2)"
    )
    printed = capsys.readouterr().err
    assert 'File "danubefile.py", line 6, in build' in printed
    assert 'File "library.py", line 2, in deep' in printed
    assert "danube_pkg" not in printed
    assert str(session.workspace) not in printed


def test_an_exception_during_the_import_is_an_error(session: RecordingSession) -> None:
    assert run(session, "import no_such_module\n") == Outcome(
        "script-error", f"ModuleNotFoundError: No module named 'no_such_module' (danubefile.py:1); {NO_PACKAGES}"
    )


def test_a_failed_step_is_named_by_its_sequence(session: RecordingSession) -> None:
    session.ends["Test"] = fail
    outcome = run(session, pipeline_of("step.run('true')", "step.run('make test', name='Test')"))
    assert outcome == Outcome("step-failed", "step 'Test' failed with exit code 3", 2)


def test_failed_tests_are_the_reason_without_a_traceback(
    session: RecordingSession, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(session.workspace) / "report.xml").write_text(
        '<testsuite><testcase name="a"><failure/></testcase></testsuite>'
    )
    outcome = run(session, pipeline_of("__import__('danube').reports.junit('report.xml', fail=True)"))
    assert outcome == Outcome("tests-failed", "1 of 1 tests failed: a")
    assert "Traceback" not in capsys.readouterr().err


def test_a_refusal_keeps_its_hint(session: RecordingSession) -> None:
    outcome = run(session, pipeline_of("secrets.get('TOKEN')"))
    assert outcome.reason == "script-error"
    assert outcome.message == "there is no secret TOKEN (danubefile.py:5); danube secrets set TOKEN"


@pytest.mark.parametrize(
    ("line", "message"),
    [("sys.exit(0)", "sys.exit(0)"), ("sys.exit('no')", "sys.exit('no')"), ("exit()", "sys.exit(None)")],
)
def test_leaving_the_interpreter_is_not_a_success(session: RecordingSession, line: str, message: str) -> None:
    outcome = run(session, "import sys\n" + pipeline_of(line))
    assert outcome.reason == "script-exited"
    assert message in outcome.message


def test_a_keyboard_interrupt_is_an_error_like_any_other(session: RecordingSession) -> None:
    assert run(session, pipeline_of("raise KeyboardInterrupt")).reason == "script-error"


def test_it_runs_in_the_workspace_and_imports_files_beside_it(session: RecordingSession) -> None:
    (Path(session.workspace) / "ci").mkdir()
    (Path(session.workspace) / "ci" / "matrix.py").write_text("NAMES = ['a', 'b']\n")
    text = "import matrix\n" + pipeline_of("for name in matrix.NAMES:", "    step.run('make', name=name)")
    assert run(session, text, "ci/danubefile.py") == Outcome()
    assert [call.name for call in session.calls] == ["a", "b"]
    assert os.getcwd() == os.path.realpath(session.workspace)


def test_classes_of_the_danubefile_know_their_module(session: RecordingSession) -> None:
    """dataclasses and pickle look a class's module up by name."""
    text = "from dataclasses import dataclass\n" + pipeline_of("step.run(Target('make').word)")
    text += "\n@dataclass(slots=True)\nclass Target:\n    word: str\n"
    assert run(session, text) == Outcome()


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["step.run('make')"], []),
        (["raise ValueError('x')"], ["log"]),
        (["step.run('make', name='red')"], ["log"]),
        (["try:", "    step.run('make', name='red')", "except Exception:", "    print('handled')"], ["log"]),
        (["step.run('make', name='red', check=False)"], []),
    ],
)
def test_what_is_for_a_failure_is_kept_when_the_job_fails(
    session: RecordingSession, lines: list[str], kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(session.workspace) / "log.txt").write_text("why")
    session.ends["red"] = fail
    before = ["artifacts.on_failure('no-such-*', 'missing')", "artifacts.on_failure('log.txt', 'log')"]
    run(session, pipeline_of(*before, *lines))
    assert [*session.uploads] == kept
    if kept:
        assert session.uploaded("log") == b"why"
        assert "artifact missing of artifacts.on_failure was not kept: no file" in capsys.readouterr().err


def test_a_call_of_a_job_that_is_ending_has_no_traceback(
    session: RecordingSession, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(call: StepCall) -> StepResult:
        raise DanubeError("job-ending", "job 01j of app is ending", cause="cancelled by alice")

    session.ends["late"] = refused
    assert run(session, pipeline_of("step.run('make', name='late')")).reason == "script-error"
    assert capsys.readouterr().err == "job 01j of app is ending: cancelled by alice\n"


@pytest.mark.parametrize(
    "line", ["artifacts.on_failure('b', 'a')", "[artifacts.on_failure('b', str(n)) for n in range(51)]"]
)
def test_registrations_for_a_failure_are_bounded(session: RecordingSession, line: str) -> None:
    outcome = run(session, pipeline_of("artifacts.on_failure('a', 'a')", line))
    assert outcome.reason == "script-error"
    assert "registered" in outcome.message
