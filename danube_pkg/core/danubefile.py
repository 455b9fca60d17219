"""What a danubefile says of itself without being run: its pipeline, and the steps, images, secrets and artifacts that stand
in it as literals. What is computed is not known, and is shown as "…".

Read with `ast`: nothing of the file is executed. The same reading is behind `danube validate` and a pipeline's page.
"""

import ast
from collections.abc import Iterator, Sequence

from danube_pkg.core.documents.marked import Findings
from danube_pkg.core.errors import SourceLocation
from danube_pkg.kit.python_text import NOT_PYTHON, what_is_wrong
from danube_pkg.kit.records import Mutable, Record, field

MAX_BYTES = 1024**2
MAX_OUTLINED = 500
"""Steps, secrets and artifacts that are listed; a file with more is made by a program."""

UNKNOWN = "…"

_SDK = "danube"
_SECRETS = ("secrets.get", "secrets.get_bytes")
_STEPS = ("step.run", "step.start")
_NAMES = ("pipeline", "step", "secrets", "artifacts", "ctx")


class StepOutline(Record):
    """One call that makes a step. image: "" is the pipeline's own."""

    name: str
    image: str
    line: int


class Named(Record):
    """A secret's key or an artifact's name, and where it stands."""

    name: str
    line: int


class Outline(Record):
    """name: what `@pipeline` says; function: whose decorator it is."""

    name: str
    function: str
    line: int
    steps: tuple[StepOutline, ...] = ()
    secrets: tuple[Named, ...] = ()
    artifacts: tuple[Named, ...] = ()

    @property
    def images(self) -> tuple[str, ...]:
        """Those that steps name, each once, in order."""
        return tuple(dict.fromkeys(one.image for one in self.steps if one.image))


class _Found(Mutable):
    pipelines: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, ast.expr]] = field(default_factory=list)
    steps: list[StepOutline] = field(default_factory=list)
    secrets: list[Named] = field(default_factory=list)
    artifacts: list[Named] = field(default_factory=list)


def read_danubefile(data: bytes, file: str, findings: Findings) -> Outline | None:
    """The outline, or None when there is not exactly one pipeline; what is wrong is in `findings`."""
    if len(data) > MAX_BYTES:
        findings.add(
            SourceLocation(file), f"the file has {len(data)} bytes; at most {MAX_BYTES} are read", hint="divide it"
        )
        return None
    try:
        tree = ast.parse(data, file)
    except NOT_PYTHON as error:
        line, what = what_is_wrong(data, error)
        findings.add(
            SourceLocation(file, line), f"no valid Python: {what}", hint="python3 -m py_compile shows the place"
        )
        return None
    names = _imported(tree)
    found = _Found()
    for function in _functions(tree.body):
        found.pipelines += [(function, one) for one in function.decorator_list if _is_pipeline(one, names)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _take_call(node, names, found)
    return _outline(found, file, findings)


def _functions(body: Sequence[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Those of the module itself, also below `if` and `try`; what is inside a function or class a job does not find."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif not isinstance(statement, ast.ClassDef):
            for name in ("body", "orelse", "finalbody", "handlers"):
                inner = getattr(statement, name, [])
                yield from _functions([one for one in inner if isinstance(one, ast.stmt)])
                for handler in inner:
                    if isinstance(handler, ast.ExceptHandler):
                        yield from _functions(handler.body)


def _outline(found: _Found, file: str, findings: Findings) -> Outline | None:
    found.pipelines.sort(key=lambda one: one[0].lineno)
    if not found.pipelines:
        findings.add(
            SourceLocation(file),
            "no function is marked with @pipeline",
            hint='write: from danube import pipeline; and above the function: @pipeline(name="Build")',
        )
        return None
    for function, decorator in found.pipelines[1:]:
        first = found.pipelines[0][0]
        what = f"{function.name} is a second @pipeline; the first is {first.name} in line {first.lineno}"
        findings.add(
            SourceLocation(file, decorator.lineno), what, hint="put it into a file of its own, with its own pipeline"
        )
    function, decorator = found.pipelines[0]
    name = ""
    if isinstance(decorator, ast.Call) and _has(decorator, "name"):
        name = _keyword(decorator, "name") or UNKNOWN
    if not name:
        findings.add(
            SourceLocation(file, decorator.lineno), "@pipeline needs a name", hint='write: @pipeline(name="Build")'
        )
    if isinstance(function, ast.AsyncFunctionDef):
        findings.add(
            SourceLocation(file, function.lineno), f"{function.name} is async; a pipeline is not", hint="write: def"
        )
    if function.args.args or function.args.kwonlyargs or function.args.vararg or function.args.kwarg:
        what = f"{function.name} takes arguments; a pipeline has none"
        findings.add(SourceLocation(file, function.lineno), what, hint="read parameters from ctx.params")
    if len(found.pipelines) > 1 or not name:
        return None
    return Outline(
        name,
        function.name,
        function.lineno,
        tuple(sorted(found.steps, key=lambda one: one.line)[:MAX_OUTLINED]),
        tuple(sorted(found.secrets, key=lambda one: one.line)[:MAX_OUTLINED]),
        tuple(sorted(found.artifacts, key=lambda one: one.line)[:MAX_OUTLINED]),
    )


def _imported(tree: ast.Module) -> dict[str, str]:
    """Local names → names of the SDK: `from danube import step as s` is `s` → `step`; `import danube` is `danube` → ""."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == _SDK and not node.level:
            for alias in node.names:
                names.update(
                    {one: one for one in _NAMES} if alias.name == "*" else {alias.asname or alias.name: alias.name}
                )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_SDK}.") and not node.level:
            module = (node.module or "").removeprefix(f"{_SDK}.")
            names.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == _SDK:
                    names[alias.asname or _SDK] = ""
                elif alias.name.startswith(f"{_SDK}."):
                    names[alias.asname or _SDK] = alias.name.removeprefix(f"{_SDK}.") if alias.asname else ""
    return names


def _sdk_name(node: ast.expr, names: dict[str, str]) -> str:
    """`step.run` for whatever it was imported as; "" for anything that is not of the SDK."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join(part for part in (names[node.id], *reversed(parts)) if part)


def _is_pipeline(node: ast.expr, names: dict[str, str]) -> bool:
    return _sdk_name(node.func if isinstance(node, ast.Call) else node, names) == "pipeline"


def _take_call(node: ast.Call, names: dict[str, str], found: _Found) -> None:
    called = _sdk_name(node.func, names)
    if called in _STEPS:
        name = _keyword(node, "name") or _first_word(node)
        image = _keyword(node, "image") or (UNKNOWN if _has(node, "image") else "")
        found.steps.append(StepOutline(name, image, node.lineno))
    elif called in _SECRETS:
        found.secrets.append(Named(_argument(node, 0, "key") or UNKNOWN, node.lineno))
    elif called == "artifacts.upload":
        name = _keyword(node, "name") or _argument(node, 0, "path") or UNKNOWN
        found.artifacts.append(Named(name, node.lineno))


def _first_word(node: ast.Call) -> str:
    """A step without a name is called by its command, cut to a line's beginning."""
    command = _argument(node, 0, "command")
    return command.strip().splitlines()[0][:60] if command and command.strip() else UNKNOWN


def _has(node: ast.Call, name: str) -> bool:
    return any(one.arg == name for one in node.keywords)


def _keyword(node: ast.Call, name: str) -> str | None:
    return next((_literal(one.value) for one in node.keywords if one.arg == name), None)


def _argument(node: ast.Call, position: int, name: str) -> str | None:
    if len(node.args) > position:
        return _literal(node.args[position])
    return _keyword(node, name)


def _literal(node: ast.expr) -> str | None:
    """A text that stands there; an f-string with its computed parts as "…"."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts: Iterator[str] = (str(one.value) if isinstance(one, ast.Constant) else UNKNOWN for one in node.values)
        return "".join(parts)
    return None
