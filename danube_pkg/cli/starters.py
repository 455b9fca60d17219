"""The files that `danube init` writes: a danubefile and a pipeline for a repository, or a starter configuration.

Pure: from the names and texts of a few files it makes the texts of new ones, which users are expected to edit.
"""

import json
import re
from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.kinds import API_VERSION
from danube_pkg.core.documents.patterns import NAME
from danube_pkg.kit.records import Record

READ_NAMES = (
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "package.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "go.mod",
    "Cargo.toml",
    "Makefile",
    "tests",
)
"""Names in a repository's root by which its toolchains are recognised."""


class Toolchain(Record):
    """How one kind of project is built. steps: (name, command). image: "" for the machine's own programs."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]


def toolchains(files: Mapping[str, str]) -> tuple[Toolchain, ...]:
    """The toolchains of a repository. files: the texts of those in `READ_NAMES` that exist; "" for a directory.

    A Makefile counts only if no other toolchain is found, since it usually calls the others.
    """
    found = [one for one in (_python(files), _node(files), _go(files), _rust(files)) if one is not None]
    make = _make(files) if not found else None
    return (*found, make) if make is not None else tuple(found)


def _python(files: Mapping[str, str]) -> Toolchain | None:
    if not {"pyproject.toml", "setup.py", "requirements.txt"} & files.keys():
        return None
    wanted = ["-r requirements.txt"] if "requirements.txt" in files else []
    wanted += ["-e ."] if {"pyproject.toml", "setup.py"} & files.keys() else []
    pytest = "tests" in files or "pytest" in "".join(
        files.get(one, "") for one in ("pyproject.toml", "requirements.txt")
    )
    test = "build/venv/bin/python -m pytest" if pytest else "build/venv/bin/python -m unittest discover"
    install = f"python3 -m venv build/venv && build/venv/bin/pip install {' '.join([*wanted, *(['pytest'] if pytest else [])])}"
    return Toolchain("Python", "python:3.12", (("Install", install), ("Test", test)))


def _node(files: Mapping[str, str]) -> Toolchain | None:
    if "package.json" not in files:
        return None
    if "pnpm-lock.yaml" in files:
        program, install = "pnpm", "corepack enable && pnpm install --frozen-lockfile"
    elif "yarn.lock" in files:
        program, install = "yarn", "corepack enable && yarn install --immutable"
    else:
        program, install = "npm", "npm ci" if "package-lock.json" in files else "npm install"
    steps = [("Install", install)]
    scripts = _scripts(files["package.json"])
    steps += [(name.capitalize(), f"{program} run {name}") for name in ("lint", "test", "build") if name in scripts]
    return Toolchain("Node", "node:22", tuple(steps))


def _scripts(text: str) -> Sequence[str]:
    try:
        found = json.loads(text).get("scripts", {})
    except (ValueError, AttributeError):
        return ()
    return tuple(found) if isinstance(found, dict) else ()


def _go(files: Mapping[str, str]) -> Toolchain | None:
    if "go.mod" not in files:
        return None
    return Toolchain("Go", "golang:1.25", (("Vet", "go vet ./..."), ("Test", "go test ./...")))


def _rust(files: Mapping[str, str]) -> Toolchain | None:
    if "Cargo.toml" not in files:
        return None
    return Toolchain("Rust", "rust:1.90", (("Build", "cargo build --locked"), ("Test", "cargo test --locked")))


def _make(files: Mapping[str, str]) -> Toolchain | None:
    if "Makefile" not in files:
        return None
    targets = set(re.findall(r"^([A-Za-z0-9_-]+):(?!=)", files["Makefile"], re.MULTILINE))
    known = [target for target in ("check", "test", "build") if target in targets]
    return Toolchain(
        "Make", "", tuple((target.capitalize(), f"make {target}") for target in known) or (("Make", "make"),)
    )


def danubefile(name: str, found: Sequence[Toolchain]) -> str:
    """The text of a danubefile. With several toolchains each step names its image; one uses the pipeline's image."""
    several = len(found) > 1
    lines = []
    for one in found:
        for step, command in one.steps:
            label = f"{one.name}: {step}" if several else step
            image = f', image="{one.image}"' if several and one.image else ""
            lines.append(f"    step.run({json.dumps(command)}, name={json.dumps(label)}{image})")
    if not lines:
        lines.append('    step.run("echo nothing is built yet", name="Hello")')
    body = "\n".join(lines)
    return f'''"""How this repository is built. Try it on this machine: danube run"""

from danube import pipeline, step


@pipeline(name={json.dumps(name, ensure_ascii=False)})
def build() -> None:
    """Each step runs in a new shell in /workspace; files there are kept from step to step."""
{body}
'''


def pipeline_yaml(name: str, repository: str, found: Sequence[Toolchain], team: str = "") -> str:
    """The text of a pipeline for the configuration repository."""
    image = found[0].image if len(found) == 1 else ""
    metadata = f"{{name: {name}, team: {team}}}" if team else f"{{name: {name}}}"
    image_line = (
        f"  image: {image}\n"
        if image
        else "  # image: python:3.12   # without an image, steps use the server's own programs\n"
    )
    return f"""# A pipeline. Its place is pipelines/{name}.yaml in the configuration repository.
apiVersion: {API_VERSION}
kind: Pipeline
metadata: {metadata}
spec:
  repository: {json.dumps(repository, ensure_ascii=False)}
  branch_filter: [main, "release/*"]
  triggers: [{{on: push}}, {{on: pull_request}}]
{image_line}  max_duration_seconds: 1800
  # Hosts that its steps may reach; danube run prints the list that a build needs.
  # egress_allowlist: [packages.example.org]
"""


def configuration(repository: str = "") -> dict[str, str]:
    """The files of a starter configuration repository, by name. repository: of a first pipeline; "" for none."""
    files = {"config.yaml": _CONFIG, "teams.yaml": _TEAMS, "users.yaml": _USERS, "README.md": _README}
    if repository:
        name = pipeline_name(repository)
        files[f"pipelines/{name}.yaml"] = pipeline_yaml(name, repository, (), "engineering")
    return files


def pipeline_name(text: str) -> str:
    """A pipeline's name, from a URL or a path."""
    last = text.rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")[2].lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", last).strip("-._")[:63].rstrip("-._")
    return name if re.fullmatch(NAME, name) else "app"


_CONFIG = f"""# Settings of the whole server. All keys: docs/configuration.md, or: danube validate --schema
apiVersion: {API_VERSION}
kind: Config
metadata: {{name: global}}
spec:
  max_concurrent_jobs: 4
  retention: {{logs_days: 30, artifacts_days: 14}}
  # Hosts that every job may reach; connections to others are refused.
  egress_allowlist: []
  # Credentials for private repositories; each value is a secret; set it with: danube secrets set NAME
  git_authentication: []
  #  - {{type: gitlab_token, name: gitlab, url: "https://gitlab.example.org", token_secret: gitlab-token, match_patterns: ["gitlab.example.org/*"]}}
"""

_TEAMS = f"""# Who may do what. Members are named by their addresses. A team has the level admin on the pipelines that it owns.
apiVersion: {API_VERSION}
kind: Team
metadata: {{name: platform}}
spec: {{members: [], global_admin: true}}
---
apiVersion: {API_VERSION}
kind: Team
metadata: {{name: engineering}}
spec: {{members: []}}
"""

_USERS = f"""# Users who log in with a password. With an OpenID Connect issuer (auth.oidc) this file is not needed.
#
# apiVersion: {API_VERSION}
# kind: User
# metadata: {{name: alice}}
# spec: {{email: alice@example.com, password_hash: "…"}}   # htpasswd -nBC 12 ''
"""

_README = """# Danube's configuration

A push to this repository changes the running server. A push with a mistake changes nothing; the error names its line.

    danube validate            # the same checks on this machine: before a commit, or in a pipeline
    danube validate --plan     # ask the server: who gains or loses access, which pipelines change
    danube config status       # what is applied, and what is wrong with what was pushed last

`pipelines/` has one file for each pipeline; `danube init` in an application's repository writes one.
"""
