"""What the workflows of different systems have in common, and how it is written as a danubefile."""

import json
from collections.abc import Iterator, Mapping, Sequence

from danube_pkg.kit.records import Mutable, Record, field

UNKNOWN_CONDITION = "False"
"""The condition of what depends on an expression that is not understood: a deployment must not run by mistake."""


class ForeignStep(Record):
    """One command. env: name → Python expression. artifact: (path, name) to keep instead of a command."""

    name: str
    command: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    shell: str = ""
    directory: str = ""
    timeout_seconds: int = 0
    retries: int = 0
    checked: bool = True
    condition: str = ""
    artifact: tuple[str, str] | None = None


class ForeignJob(Record):
    """Steps that belong together. legs: the combinations of a matrix, each name → value; the values are environment
    variables of the steps."""

    name: str
    steps: tuple[ForeignStep, ...]
    legs: tuple[Mapping[str, str], ...] = ()
    condition: str = ""


class Migration(Mutable):
    """jobs: in an order in which they may run one after the other. lost: what could not be carried over, as sentences,
    each once."""

    name: str
    jobs: list[ForeignJob] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def lose(self, sentence: str) -> None:
        """Add what is not carried over."""
        if sentence not in self.lost:
            self.lost.append(sentence)


def danubefile_text(found: Migration, source: str) -> str:
    """The text of a danubefile. source: the name of the file that it was made from."""
    body = [line for job in found.jobs for line in _job(job, many=len(found.jobs) > 1)]
    text = "\n".join(body or ["    raise SystemExit('no command was found in the workflow')"])
    names = [one for one in ("artifacts", "ctx", "secrets") if f"{one}." in text or f"{one}." in str(found.env)]
    lost = "".join(f"\n- {one}" for one in found.lost).replace("\\", "\\\\").replace('"""', "'''")
    head = f"\n\nNot carried over:\n{lost}\n" if found.lost else ""
    env = f", env={_mapping(found.env)}" if found.env else ""
    imported = ", ".join(sorted([*names, "pipeline", "step"]))
    return (
        f'"""Made from {source} by danube migrate-from.{head}"""\n\nfrom danube import {imported}\n\n\n'
        f"@pipeline(name={_text(found.name)}{env})\ndef build() -> None:\n{text}\n"
    )


def _job(job: ForeignJob, *, many: bool) -> Iterator[str]:
    indent = "    "
    if many:
        yield f"{indent}# {' '.join(job.name.split())}"
    if job.condition:
        yield f"{indent}if {job.condition}:"
        indent += "    "
    if job.legs:
        yield f"{indent}for leg in ["
        yield from (f"{indent}    {_mapping({key: _text(value) for key, value in leg.items()})}," for leg in job.legs)
        yield f"{indent}]:"
        indent += "    "
    if not job.steps:
        yield f"{indent}..."
    for one in job.steps:
        yield from _step(one, indent, prefix=f"{job.name}: " if many else "", leg=bool(job.legs))


def _step(one: ForeignStep, indent: str, *, prefix: str, leg: bool) -> Iterator[str]:
    if one.condition:
        yield f"{indent}if {one.condition}:"
        indent += "    "
    if one.artifact is not None:
        yield f"{indent}artifacts.upload({_text(one.artifact[0])}, name={_text(one.artifact[1])})"
        return
    name = _text(prefix + one.name)
    arguments = [f"name={name}" if not leg else f"name=' '.join([{name}, *leg.values()])"]
    env = _mapping(one.env)
    if leg:
        env = f"{{**leg, {env[1:]}" if one.env else "leg"
    optional = (
        ("image", one.image),
        ("env", env if env != "{}" else ""),
        ("working_directory", _text(one.directory) if one.directory else ""),
        ("shell", _text(one.shell) if one.shell else ""),
        ("timeout_seconds", str(one.timeout_seconds or "")),
        ("retries", str(one.retries or "")),
        ("check", "" if one.checked else "False"),
    )
    arguments += [f"{key}={value}" for key, value in optional if value]
    lines = one.command.strip("\n").splitlines()
    if len(lines) == 1 and len(lines[0]) < 60:
        yield f"{indent}step.run({_text(lines[0])}, {', '.join(arguments)})"
        return
    yield f"{indent}step.run("
    yield from (f"{indent}    {_text(line + chr(10))}" for line in lines[:-1])
    yield f"{indent}    {_text(lines[-1])},"
    yield f"{indent}    {', '.join(arguments)},"
    yield f"{indent})"


def _mapping(values: Mapping[str, str]) -> str:
    """values: Python expressions."""
    return "{" + ", ".join(f"{_text(key)}: {value}" for key, value in values.items()) + "}"


def _text(value: str) -> str:
    """A Python literal: a text of JSON is one, but for characters beyond the first plane, which stay as they are."""
    return json.dumps(value, ensure_ascii=False)


def combinations(axes: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every combination of the axes' values."""
    found: list[dict[str, str]] = [{}]
    for key, values in axes.items():
        found = [{**leg, key: value} for leg in found for value in values]
    return found if axes else []
