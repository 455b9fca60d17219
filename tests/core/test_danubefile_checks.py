"""Mistakes in the use of the SDK are found with their line, without running the danubefile; what is right is not
named."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from danube.step import _first_line

import danube
from danube import (
    Cache,
    Context,
    StepHandle,
    StepResult,
    artifacts,
    cache,
    hash_files,
    pipeline,
    reports,
    secrets,
    step,
)
from danube_pkg.core.danubefile import read_danubefile
from danube_pkg.core.danubefile_sdk import SDK
from danube_pkg.core.documents.marked import Findings
from danube_pkg.ops.validate import validate

HEAD = "from danube import artifacts, cache, hash_files, ctx, pipeline, secrets, step\n\n@pipeline(name='t')\ndef build():\n"


def findings(text: str) -> list[str]:
    found = Findings()
    assert read_danubefile(text.encode(), "danubefile.py", found) is not None
    return [f"{one}  ({one.hint})" for one in found.sorted()]


def signature(function: object) -> str:
    assert callable(function)
    text = str(inspect.signature(function)).replace("collections.abc.", "")
    text = re.sub(r"danube\.(_[a-z]+|reports)\.|pathlib\.(_local\.)?", "", text)
    return re.sub(r"\(self(, )?", "(", text)


def public(owner: ModuleType | type) -> dict[str, str]:
    names = [*vars(owner), *getattr(owner, "__dataclass_fields__", {}), *getattr(owner, "__annotations__", {})]
    found = {}
    for name in names:
        member = vars(owner).get(name)
        inside = not isinstance(owner, ModuleType) or getattr(member, "__module__", "") == owner.__name__
        if not name.startswith("_") and inside and not isinstance(member, ModuleType):
            found[name] = signature(member) if inspect.isfunction(member) else ""
    return found


def test_the_table_is_what_the_sdk_has() -> None:
    assert set(SDK["danube"]) == set(danube.__all__)
    assert signature(pipeline).startswith(SDK["danube"]["pipeline"])
    assert signature(cache) == SDK["danube"]["cache"]
    assert signature(hash_files) == SDK["danube"]["hash_files"]
    assert public(Cache) == SDK["Cache"]
    assert public(step) == SDK["step"]
    assert public(secrets) == SDK["secrets"]
    assert public(artifacts) == SDK["artifacts"]
    assert {name: one for name, one in public(reports).items() if not name.isupper()} == SDK["reports"]
    assert public(Context) == SDK["ctx"]
    assert public(StepResult) == SDK["StepResult"]
    assert public(StepHandle) | {"name": ""} == SDK["StepHandle"]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("cache('pip', paths='x', key='k')", 'paths= of cache must be a list, not str  (write: paths=["…"])'),
        ("cache('pip', paths=['x'], key='k', fallback=3)", "fallback= of cache must be a text, not int"),
        ("cache('pip', paths=['x'])", "cache needs the argument 'key'"),
        ("hash_files(patterns='x')", "hash_files has no argument 'patterns'"),
        ("with cache('pip', paths=['x'], key='k') as c: c.hitt", "Cache has no 'hitt'  (did you mean 'hit'?)"),
        ("step.run('x', nme='B')", "step.run has no argument 'nme'  (did you mean 'name'?)"),
        ("step.run('x', timeout=5)", "step.run has no argument 'timeout'  (did you mean 'timeout_seconds'?)"),
        ("step.run(['echo'])", "command= of step.run must be a text, not list"),
        ("step.run('x', env={'N': 1})", "env= of step.run has texts only, not int"),
        ("r = step.run('x'); r.stdot", "StepResult has no 'stdot'"),
        ("ctx.brnch", "ctx has no 'brnch'  (did you mean 'branch'?)"),
        ("step.strt('x')", "step has no 'strt'  (did you mean 'start'?)"),
        ("step.matrix(print, python='3.11')", "python= of step.matrix must be a list, not str"),
        ("step.matrix(print, max_parallel='2')", "max_parallel= of step.matrix must be a whole number, not str"),
        ("artifacts.upload('x')", "artifacts.upload needs the argument 'name'"),
        ("secrets.gett('X')", "secrets has no 'gett'  (did you mean 'get'?)"),
        ("h = step.start('x'); h.wait().success", "StepResult has no 'success'"),
        ("step.run('x', retries='3')", "retries= of step.run must be a whole number, not str"),
        ("step.run('x', check=None)", "check= of step.run must be True or False, not NoneType"),
        ("step.run('x', 'y')", "step.run takes 1 arguments without a name, not 2"),
        ("step.run()", "step.run needs the argument 'command'"),
        ("with step.service('db', 'x') as db: db.halt()", "StepHandle has no 'halt'"),
        ("step.run(f'x', env=['A'])", "env= of step.run must be a dict of texts, not list"),
        ("if (r := step.run('x')).okay: return", "StepResult has no 'okay'"),
    ],
)
def test_a_mistake_is_found_with_its_line(line: str, finding: str) -> None:
    found = findings(HEAD + f"    step.run('true')\n    {line}\n")
    assert len(found) == 1, found
    assert found[0].startswith("danubefile.py:6: ")
    assert finding.replace("NoneType", "None") in found[0]


def test_mistakes_in_imports_and_in_the_decorator_are_found() -> None:
    text = "from danube import pipelin, pipeline, stp\nfrom danube.step import runn\n\n@pipeline(name='t', shel='sh')\ndef build():\n    ...\n"
    assert [one.partition("  (")[0] for one in findings(text)] == [
        "danubefile.py:1: danube has no 'pipelin'",
        "danubefile.py:1: danube has no 'stp'",
        "danubefile.py:2: danube.step has no 'runn'",
        "danubefile.py:4: pipeline has no argument 'shel'",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "step.run(*['x'], **{'nam': 1})",
        "r = step.run('x'); r = object(); r.stdot",
        "r = None; r = step.run('x'); r.stdot",
        "step.run('x', name=None, env={**{}, 'A': str(1)}, retries=3, check=False)",
        "handles = [step.start('x') for _ in 'ab']; [h.wait().ok for h in handles]",
        "print(ctx.params['a'].upper(), ctx.pull_request)",
        "inner = lambda step: step.anything()",
        "step._private",
    ],
)
def test_what_is_right_or_not_known_is_not_named(line: str) -> None:
    assert findings(HEAD + f"    {line}\n") == []


def test_a_name_that_means_something_else_is_left_out() -> None:
    text = "from danube import pipeline, step\nimport danube as d\nfrom other import secrets\n\n"
    text += (
        "@d.pipeline(name='t')\ndef build():\n    for step in (1, 2):\n        step.bit_count()\n    secrets.gett()\n"
    )
    assert findings(text) == []


def test_a_step_is_called_by_its_first_line_that_does_something() -> None:
    found = Findings()
    text = HEAD + "    step.run('set -eu\\n# first\\nmake test')\n    step.run('set -e')\n"
    outline = read_danubefile(text.encode(), "danubefile.py", found)
    assert outline is not None
    assert [one.name for one in outline.steps] == ["make test", "set -e"]
    assert [_first_line(one) for one in ("set -eu\n# first\nmake test", "set -e")] == ["make test", "set -e"]


def test_modules_that_a_job_does_not_have_are_named(tmp_path: Path) -> None:
    text = "import json, requests\nfrom shared.steps import build\nimport own\ntry:\n    import yaml\nexcept ImportError:\n    ...\n"
    (tmp_path / "danubefile.py").write_text(text + HEAD + "    ...\n")
    (tmp_path / "own.py").touch()
    (tmp_path / "shared").mkdir()
    (found,) = validate(tmp_path).findings
    assert str(found) == "danubefile.py:1: there is no module 'requests' beside the danubefile"
