"""Expressions of GitHub Actions and conditions of GitLab and Woodpecker, as shell variables and Python conditions."""

import json
import re
from collections.abc import Callable

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_NAME = re.compile(r"(env|secrets|matrix|inputs)\.([A-Za-z_][\w-]*)")
_OF_GITHUB = {
    "github.sha": "$DANUBE_COMMIT",
    "github.ref_name": "$DANUBE_BRANCH$DANUBE_TAG",
    "github.head_ref": "$DANUBE_BRANCH",
    "github.repository": "$DANUBE_REPOSITORY",
    "github.run_id": "$DANUBE_JOB_ID",
    "github.workspace": "/workspace",
    "runner.temp": "/tmp",
}
_CONDITIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), python)
    for pattern, python in (
        (r"github\.ref(?:_name)? == '(?:refs/heads/)?([\w./-]+)'", lambda found: f"ctx.branch == {_text(found[1])}"),
        (r"startsWith\(github\.ref, '?\"?refs/tags/v?'?\"?\)", lambda found: "ctx.tag"),
        (r"github\.event_name == 'pull_request'", lambda found: "ctx.pull_request"),
        (r"github\.event_name (?:!= 'pull_request'|== 'push')", lambda found: "not ctx.pull_request"),
        (r"\$CI_COMMIT_BRANCH == [\"']([\w./-]+)[\"']", lambda found: f"ctx.branch == {_text(found[1])}"),
        (r"\$CI_COMMIT_BRANCH == \$CI_DEFAULT_BRANCH", lambda found: 'ctx.branch == "main"'),
        (r"\$CI_COMMIT_TAG", lambda found: "ctx.tag"),
        (r"\$CI_PIPELINE_SOURCE == [\"']merge_request_event[\"']", lambda found: "ctx.pull_request"),
    )
)


def variable(name: str) -> str:
    """A name for a shell: `python-version` is `PYTHON_VERSION`."""
    return re.sub(r"\W", "_", name).upper()


def with_variables(text: str, secrets: set[str], unknown: Callable[[str], None]) -> str:
    """The text with `${{ … }}` as shell variables. secrets: gets the names of secrets that it reads. unknown: called
    with each expression that is not understood, which stays as it is."""

    def replaced(found: re.Match[str]) -> str:
        inner = found[1]
        if inner in _OF_GITHUB:
            return _OF_GITHUB[inner]
        name = _NAME.fullmatch(inner)
        if name is None:
            unknown(inner)
            return found[0]
        if name[1] == "secrets":
            secrets.add(name[2])
            return f"${{{name[2]}}}"
        if name[1] == "inputs":
            unknown(inner)
        return f"${{{variable(name[2]) if name[1] == 'matrix' else name[2]}}}"

    return _EXPRESSION.sub(replaced, text)


def condition(text: str) -> str | None:
    """A Python condition; None for what is not understood. Parts may be joined by `&&`."""
    parts = [part.strip() for part in _EXPRESSION.sub(lambda found: found[1], text).split("&&")]
    found = [
        next((make(match) for pattern, make in _CONDITIONS if (match := pattern.fullmatch(part))), None)
        for part in parts
    ]
    return None if None in found else " and ".join(str(one) for one in found)


def _text(value: str) -> str:
    return json.dumps(value)
