"""The outline of a danubefile, which is not run."""

import textwrap
from types import ModuleType

import pytest

import danube
from danube_pkg.core.danubefile import Named, Outline, StepOutline, read_danubefile
from danube_pkg.core.documents.marked import Findings


def read(text: str) -> tuple[Outline | None, list[str]]:
    findings = Findings()
    outline = read_danubefile(textwrap.dedent(text).encode(), "danubefile.py", findings)
    return outline, [str(one) for one in findings.sorted()]


def test_the_pipeline_its_steps_images_secrets_and_artifacts_are_listed() -> None:
    outline, findings = read(
        """\
        from danube import artifacts, pipeline, secrets, step as run

        raise SystemExit("this is not run")

        @pipeline(name="Frontend Build")
        def build():
            run.run("npm ci && npm test", name="Run Tests", image="node:20")
            for version in ("3.11", "3.12"):
                run.start("pytest", name=f"Test {version}", image=f"python:{version}")
            run.run("make\\ninstall", image=choose())
            run.run(command())
            token = secrets.get("DEPLOY_TOKEN")
            secrets.get(name)
            artifacts.upload("coverage/", name="coverage-report")
        """
    )
    assert findings == []
    assert outline == Outline(
        "Frontend Build",
        "build",
        6,
        (
            StepOutline("Run Tests", "node:20", 7),
            StepOutline("Test …", "python:…", 9),
            StepOutline("make", "…", 10),
            StepOutline("…", "", 11),
        ),
        (Named("DEPLOY_TOKEN", 12), Named("…", 13)),
        (Named("coverage-report", 14),),
    )
    assert outline.images == ("node:20", "python:…", "…")


@pytest.mark.parametrize(
    "text",
    [
        "import danube\n@danube.pipeline(name='A')\ndef a(): danube.step.run('x')\n",
        "import danube as d\n@d.pipeline(name='A')\ndef a(): d.step.run('x')\n",
        "from danube import *\n@pipeline(name='A')\ndef a(): step.run('x')\n",
        "from danube import pipeline as p\nfrom danube.step import run\n@p(name='A')\ndef a(): run('x')\n",
        "import danube.step as s\nfrom danube import pipeline\nif True:\n  @pipeline(name='A')\n  def a(): s.run('x')\n",
    ],
)
def test_every_way_to_import_the_sdk_is_known(text: str) -> None:
    outline, findings = read(text)
    assert findings == []
    assert outline is not None
    assert (outline.name, [one.name for one in outline.steps]) == ("A", ["x"])


def test_names_of_other_modules_are_not_listed() -> None:
    outline, _ = read(
        "from danube import pipeline\nfrom other import step\n@pipeline(name='A')\ndef a(): step.run('x'); self.step.run('y')\n"
    )
    assert outline is not None
    assert outline.steps == ()


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("x = 1\n", "danubefile.py: no function is marked with @pipeline"),
        ("def build(:\n", "danubefile.py:1: not valid Python: invalid syntax"),
        ("x = '\0'\n", "danubefile.py: not valid Python: it has NUL bytes, as UTF-16 text does: save it as UTF-8"),
        (
            "from danube import pipeline\n@pipeline(name='A')\ndef a(): ...\n@pipeline(name='B')\ndef b(): ...\n",
            "danubefile.py:4: b is a second @pipeline; the first is a on line 3",
        ),
        ("from danube import pipeline\n@pipeline\ndef a(): ...\n", "danubefile.py:2: @pipeline needs a name"),
        (
            "from danube import pipeline\n@pipeline(name='A')\nasync def a(): ...\n",
            "danubefile.py:3: a is async; a pipeline must not be",
        ),
        (
            "from danube import pipeline\n@pipeline(name='A')\ndef a(target): ...\n",
            "danubefile.py:3: a takes arguments; a pipeline must not",
        ),
        (
            "from danube import pipeline\n@pipeline(name='A')\ndef a():\n  yield\n",
            "danubefile.py:4: a is a generator; a pipeline must not be: its body would not run",
        ),
        (
            "from danube import pipeline\n@pipeline(name='A')\ndef a():\n  return make()\n",
            "danubefile.py:4: a returns a value; a pipeline must return nothing",
        ),
        (
            "from danube import pipeline\ndef outer():\n  @pipeline(name='A')\n  def a(): ...\n",
            "danubefile.py: no function is marked with @pipeline",
        ),
        ("(" * 5000 + ")" * 5000, "danubefile.py:1: not valid Python: too many nested parentheses"),
    ],
)
def test_each_mistake_is_reported_at_its_line(text: str, finding: str) -> None:
    _, findings = read(text)
    assert findings == [finding]


@pytest.mark.parametrize(
    "function",
    [
        "@other\nasync def a(): ...",
        "def a(*args, **kwargs): ...",
        "def a(): return",
        "def a(): return None",
        "def a():\n  def b():\n    yield\n    return 1\n  f = lambda: (yield)",
    ],
)
def test_a_function_that_a_job_would_call_is_accepted(function: str) -> None:
    assert read(f"from danube import pipeline\n@pipeline(name='A')\n{function}\n")[1] == []


@pytest.mark.parametrize(
    ("call", "warning"),
    [
        ("step.run('make | tee log')", "of this pipe only the last program counts"),
        ("step.start(command='make|tee log', name='x')", "of this pipe only the last program counts"),
        ("step.run('a | b', shell='bash -e')", "of this pipe only the last program counts"),
        ("step.run('make & \\n make two')", "a program in the background does not count: its failure is ignored"),
        (
            "step.run('a\\nb', shell='bash')",
            "of this command only the last line counts: the shell does not stop at errors",
        ),
        ("step.run('a | b', shell='bash -euo pipefail')", None),
        ("step.run('set -o pipefail; a | b', shell='bash -e')", None),
        ("step.run('set -e\\na\\nb', shell='bash')", None),
        ("step.run('a || b && c; d 2>&1 # a | b')", None),
        ("step.run('echo \"a | b\" && grep \\'x|y\\' log')", None),
        ("step.run('a & b & wait')", None),
        ("step.run('case $x in a|b) make;; esac')", None),
        ("step.run('cat <<END\\na | b\\nEND')", None),
        ("step.run('x = 1 | 2\\ny = 2', shell='python3')", None),
        ("step.run('echo \"open')", None),
        ("step.run('a | b', shell=chosen)", None),
        ("step.run(f'{tool} | tee log')", "of this pipe only the last program counts"),
    ],
)
def test_a_failure_that_the_shell_would_ignore_is_a_warning(call: str, warning: str | None) -> None:
    outline, findings = read(f"from danube import pipeline, step\n@pipeline(name='A')\ndef a():\n  {call}\n")
    assert findings == []
    assert outline is not None
    assert [str(one) for one in outline.warnings] == ([f"danubefile.py:4: {warning}"] if warning else [])


def test_the_pipelines_shell_counts_for_its_steps() -> None:
    text = "from danube import pipeline, step\n@pipeline(name='A', shell='bash -o pipefail -e')\ndef a(): step.run('a|b')\n"
    outline, _ = read(text)
    assert outline is not None
    assert outline.warnings == ()


def test_a_large_file_is_not_read() -> None:
    findings = Findings()
    assert read_danubefile(b"#" * (1024**2 + 1), "danubefile.py", findings) is None
    assert "at most 1048576 are read" in str(findings.sorted()[0])


@pytest.mark.parametrize(
    ("text", "environments"),
    [
        ("from danube import approval as ask\n{}\n    ask('a'); ask(environment='b')\n", ["a", "b"]),
        ("from danube import *\n{}\n    approval('a')\n", ["a"]),
        ("import danube\n{}\n    danube.approval('a', timeout_seconds=5)\n", ["a"]),
        ("import json\n{}\n    pass\n", []),
        ("from danube import approval\n{}\n    approval(name)\n", None),
        ("from danube import approval\n{}\n    approval(f'{{name}}-eu')\n", None),
        ("from danube import approval\n{}\n    list(map(approval, names))\n", None),
        ("{}\n    import deploy\n", None),
        ("{}\n    from . import deploy\n", None),
    ],
)
def test_the_environments_that_it_asks_for_are_known_where_it_names_them(
    text: str, environments: list[str] | None
) -> None:
    outline, _ = read(text.format("import danube\n@danube.pipeline(name='x')\ndef x():"))
    assert outline is not None
    found = outline.environments
    assert (found if found is None else [one.name for one in found]) == environments


def test_a_star_brings_all_that_the_sdk_has() -> None:
    called = [one for one in danube.__all__ if one[0].islower()]
    text = f"from danube import *\n@pipeline(name='x')\ndef x(): {'; '.join(f'{one}.none' for one in called)}\n"
    _, findings = read(text)
    modules = [one for one in called if isinstance(getattr(danube, one), ModuleType)]
    assert sorted(one.split()[1] for one in findings if "has no 'none'" in one) == sorted([*modules, "ctx"])
