"""Parameters of a manual start, checked against what the pipeline declares. All mistakes are reported at once."""

import re
from collections.abc import Mapping

from danube_pkg.core.configuration.pipelines import ParamSpec, ParamType
from danube_pkg.core.documents.marked import nearest
from danube_pkg.core.errors import Invalid

MAX_PARAMS = 50
MAX_VALUE = 8 * 1024
"""Characters: a parameter is a choice or a line of text. A job fetches larger inputs itself."""

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class ParamsInvalid(Invalid):
    """Every mistake in the parameters of one start; `findings` is never empty."""

    def __init__(self, findings: tuple[Invalid, ...]) -> None:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__("params-invalid", f"{findings[0].what}{more}", hint=findings[0].hint)
        self.findings = findings


def read_params(declared: Mapping[str, ParamSpec], given: Mapping[str, str]) -> dict[str, str]:
    """The job's parameters with defaults. A pipeline that declares none accepts any. Raises ParamsInvalid."""
    findings = []
    if len(given) > MAX_PARAMS:
        findings.append(_finding(f"{len(given)} parameters were given; at most {MAX_PARAMS} are accepted", ""))
    findings += [
        _finding(
            f"the parameter {name!r} is longer than {MAX_VALUE} characters", "pass a URL that the job can fetch instead"
        )
        for name, value in given.items()
        if len(value) > MAX_VALUE
    ]
    if not declared:
        if findings:
            raise ParamsInvalid(tuple(findings))
        return dict(given)
    for name in given:
        if name not in declared:
            findings.append(_finding(f"there is no parameter {name!r}", nearest(name, [*declared])))
    taken: dict[str, str] = {}
    for name, spec in declared.items():
        value = given.get(name, spec.default)
        if value is None:
            about = f": {spec.description}" if spec.description else ""
            findings.append(
                _finding(f"the parameter {name!r} must be given{about}", f"--param {name}={_example(spec)}")
            )
        elif problem := problem_with_value(spec, value):
            findings.append(
                _finding(f"the parameter {name!r} must be {problem}, not {value[:60]!r}", _hint(spec, value))
            )
        else:
            taken[name] = value
    if findings:
        raise ParamsInvalid(tuple(findings))
    return taken


def problem_with_value(spec: ParamSpec, value: str) -> str:
    """What the value must be, where it is not that; "" for a valid value."""
    match spec.type:
        case ParamType.NUMBER if not NUMBER.fullmatch(value):
            return "a number"
        case ParamType.BOOLEAN if value not in ("true", "false"):
            return "true or false"
        case ParamType.CHOICE if value not in spec.choices:
            return f"one of {', '.join(spec.choices)}"
    return ""


def _example(spec: ParamSpec) -> str:
    return {ParamType.NUMBER: "1", ParamType.BOOLEAN: "true"}.get(spec.type, spec.choices[0] if spec.choices else "…")


def _hint(spec: ParamSpec, value: str) -> str:
    return nearest(value, spec.choices) if spec.type is ParamType.CHOICE else ""


def _finding(what: str, hint: str) -> Invalid:
    return Invalid("param-invalid", what, hint=hint)
