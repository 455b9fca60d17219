"""Mistakes in the use of the SDK that are found without running a danubefile: unknown names and attributes, arguments
that a call does not take or lacks, and literals of a wrong type.

Only what is sure: the value of a name counts where each of its assignments in a function is a call of the SDK, and a
name of the SDK that the file also gives to something else is left out.
"""

import ast
from collections.abc import Iterator, Mapping

from danube_pkg.core.danubefile_sdk import SDK
from danube_pkg.core.documents.marked import Findings, nearest
from danube_pkg.core.errors import SourceLocation
from danube_pkg.kit.records import Record, replace

_ROOT = "danube"
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_WORDS = {"str": "a text", "int": "a whole number", "bool": "True or False"}
_KINDS: Mapping[type, str] = {ast.List: "list", ast.Tuple: "tuple", ast.Set: "set", ast.Dict: "dict"}


class _Parameter(Record):
    """position: -1 for one that is passed by name only. annotation: as in the table."""

    name: str
    position: int
    annotation: str
    required: bool


class _Signature(Record):
    """others: what an argument of any other name is; None where there is none."""

    parameters: tuple[_Parameter, ...]
    result: str
    others: _Parameter | None = None
    is_variadic: bool = False
    """It takes any number of arguments without a name."""


def check_sdk_use(tree: ast.Module, names: Mapping[str, str], file: str, findings: Findings) -> None:
    """names: the file's own names → the SDK's (`step.run`), "" for the package itself."""
    other = set(_bound_elsewhere(tree))
    known = {name: _named(path) for name, path in names.items() if name not in other}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            _check_import(node, file, findings)
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, _Function))):
        checks = _Scope(known, scope, file, findings)
        for node in checks.nodes:
            checks.check(node)


class _Scope:
    """The checks of one function, or of the module outside its functions."""

    def __init__(self, known: Mapping[str, str], scope: ast.AST, file: str, findings: Findings) -> None:
        self.nodes = list(_own_nodes(scope))
        self._known = known
        self._file = file
        self._findings = findings
        self._local: Mapping[str, str] = {}
        self._local = self._assigned(scope)

    def check(self, node: ast.AST) -> None:
        """Add what is wrong with an attribute or a call."""
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            if owner in SDK and node.attr not in SDK[owner] and not node.attr.startswith("_"):
                self._add(node, f"{owner} has no {node.attr!r}", nearest(node.attr, [*SDK[owner]]))
        elif isinstance(node, ast.Call):
            called = self._type(node.func)
            if "." in called:
                self._check_call(node, called)

    def _check_call(self, call: ast.Call, called: str) -> None:
        signature = _signature(called)
        shown = called.removeprefix(f"{_ROOT}.")
        by_name = {one.name: one for one in signature.parameters}
        positional = [one for one in signature.parameters if one.position >= 0]
        given: list[tuple[_Parameter, ast.expr]] = []
        starred = any(isinstance(one, ast.Starred) for one in call.args)
        if not starred:
            given += zip(positional, call.args, strict=False)
            if len(call.args) > len(positional) and not signature.is_variadic:
                what = f"{shown} takes {len(positional)} arguments without a name, not {len(call.args)}"
                self._add(call, what, f"pass the others by name: {', '.join(by_name)}" if by_name else "")
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in by_name and signature.others is not None:
                given.append((replace(signature.others, name=keyword.arg), keyword.value))
            elif keyword.arg is not None and keyword.arg not in by_name:
                self._add(keyword, f"{shown} has no argument {keyword.arg!r}", nearest(keyword.arg, [*by_name]))
            elif keyword.arg is not None:
                given.append((by_name[keyword.arg], keyword.value))
        complete = not starred and all(one.arg is not None for one in call.keywords)
        for missing in signature.parameters if complete else ():
            if missing.required and missing not in [one for one, _ in given]:
                self._add(call, f"{shown} needs the argument {missing.name!r}", f"{shown}(…, {missing.name}=…)")
        for parameter, value in given:
            self._check_literal(shown, parameter, value)

    def _check_literal(self, called: str, parameter: _Parameter, value: ast.expr) -> None:
        kind = _literal_kind(value)
        wanted, *others = parameter.annotation.removesuffix(" | None").split(" | ")
        if kind == "" or (kind == "None" and parameter.annotation.endswith(" | None")):
            return
        if wanted.startswith("Mapping") and isinstance(value, ast.Dict):
            pairs = [one for one in zip(value.keys, value.values, strict=True) if one[0] is not None]
            for part in (part for pair in pairs for part in pair if part is not None):
                found = _literal_kind(part)
                if found not in ("", "str"):
                    what = f"{parameter.name}= of {called} has texts only, not {found}"
                    self._add(part, what, "write it in quotes, or convert it: str(…)")
        elif all(kind not in _kinds_of(one) for one in (wanted, *others)):
            if wanted.startswith("Sequence"):
                words, hint = "a list", f'write: {parameter.name}=["…"]'
            else:
                words, hint = _WORDS.get(wanted, "a dict of texts"), _wanted(parameter)
            self._add(value, f"{parameter.name}= of {called} must be {words}, not {kind}", hint)

    def _type(self, node: ast.expr) -> str:
        """A key of the table for a value of the SDK, `OWNER.NAME` for a function; "" for what is not known."""
        if isinstance(node, ast.Name):
            return self._local.get(node.id, self._known.get(node.id, ""))
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            if node.attr not in SDK.get(owner, {}):
                return ""
            if SDK[owner][node.attr]:
                return f"{owner}.{node.attr}"
            return node.attr if owner == _ROOT and node.attr in SDK else ""
        if isinstance(node, ast.Call):
            called = self._type(node.func)
            result = _signature(called).result if "." in called else ""
            return result if result in SDK else ""
        return self._type(node.value) if isinstance(node, ast.NamedExpr) else ""

    def _assigned(self, scope: ast.AST) -> dict[str, str]:
        """The names to which this scope gives results of the SDK and nothing else; "" hides a name from outside."""
        types: dict[str, set[str]] = {one: {""} for one in _parameters(scope)}
        sure: dict[ast.expr, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                sure[node.targets[0]] = self._type(node.value)
            elif isinstance(node, ast.NamedExpr):
                sure[node.target] = self._type(node.value)
            elif isinstance(node, ast.withitem) and node.optional_vars and isinstance(node.context_expr, ast.Call):
                called = self._type(node.context_expr.func)
                result = _signature(called).result if "." in called else ""
                sure[node.optional_vars] = result.removeprefix("Iterator[").removesuffix("]")
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                types.setdefault(node.id, set()).add(sure.get(node, ""))
            elif isinstance(node, ast.Global | ast.Nonlocal):
                types.update({name: {""} for name in node.names})
        return {name: next(iter(found)) if len(found) == 1 else "" for name, found in types.items()}

    def _add(self, node: ast.AST, what: str, hint: str) -> None:
        self._findings.add(SourceLocation(self._file, getattr(node, "lineno", 0)), what, hint=hint)


def _check_import(node: ast.ImportFrom, file: str, findings: Findings) -> None:
    module = (node.module or "").removeprefix(f"{_ROOT}.")
    if node.level or module not in SDK or not (node.module or "").startswith(_ROOT):
        return
    for alias in node.names:
        if alias.name != "*" and alias.name not in SDK[module] and not alias.name.startswith("_"):
            findings.add(
                SourceLocation(file, node.lineno),
                f"{node.module} has no {alias.name!r}",
                hint=nearest(alias.name, [*SDK[module]]),
            )


def _named(path: str) -> str:
    if not path or path in SDK:
        return path or _ROOT
    return path if "." in path else f"{_ROOT}.{path}"


def _bound_elsewhere(tree: ast.Module) -> Iterator[str]:
    """Names that are also something else than an import of the SDK."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                if (module or alias.name).partition(".")[0] != _ROOT:
                    yield alias.asname or alias.name.partition(".")[0]


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """What runs in this scope itself: without the bodies of functions inside it, whose decorators and defaults do."""
    if isinstance(scope, ast.Lambda):
        bodies: list[ast.AST] = [scope.body]
    elif isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        bodies = list[ast.AST](scope.body)
    else:
        bodies = [*ast.iter_child_nodes(scope)]
    for node in bodies:
        yield node
        if isinstance(node, _Function):
            for outer in (node.args, *getattr(node, "decorator_list", ())):
                yield outer
                yield from _own_nodes(outer)
        else:
            yield from _own_nodes(node)


def _parameters(scope: ast.AST) -> list[str]:
    if not isinstance(scope, _Function):
        return []
    return [one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)]


def _signature(called: str) -> _Signature:
    """The signature of `OWNER.NAME`."""
    owner, _, name = called.rpartition(".")
    function = ast.parse(f"def f{SDK[owner][name]}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    plain = len(arguments.args) - len(arguments.defaults)
    parameters = [
        _Parameter(one.arg, at, ast.unparse(one.annotation) if one.annotation else "", at < plain)
        for at, one in enumerate(arguments.args)
    ]
    parameters += [
        _Parameter(one.arg, -1, ast.unparse(one.annotation) if one.annotation else "", default is None)
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    rest = arguments.kwarg
    others = _Parameter("", -1, ast.unparse(rest.annotation) if rest.annotation else "", False) if rest else None
    result = ast.unparse(function.returns) if function.returns else ""
    return _Signature(tuple(parameters), result, others, arguments.vararg is not None)


def _kinds_of(annotation: str) -> tuple[str, ...]:
    """The kinds of literals that an annotation allows."""
    if annotation.startswith("Sequence"):
        return ("list", "tuple")
    return ("dict",) if annotation.startswith("Mapping") else (annotation,)


def _literal_kind(value: ast.expr) -> str:
    """The type's name; "" for an expression that is computed."""
    if isinstance(value, ast.JoinedStr):
        return "str"
    if isinstance(value, ast.Constant):
        return "None" if value.value is None else type(value.value).__name__
    return _KINDS.get(type(value), "")


def _wanted(parameter: _Parameter) -> str:
    if parameter.name == "command":
        return 'one text for the shell: step.run("make test")'
    examples = {"str": '"…"', "int": "60", "bool": "True"}
    example = examples.get(parameter.annotation.removesuffix(" | None"), '{"NAME": "text"}')
    return f"write: {parameter.name}={example}"
