"""What `danube init` writes: a danubefile and a pipeline for what a repository holds, or a starter configuration.

Pure: given the names and texts of a few files, it gives the texts of new ones. What it writes is meant to be changed.
"""

import json
import re
from collections.abc import Mapping, Sequence

from danube_pkg.core.configuration.kinds import API_VERSION
from danube_pkg.core.documents.patterns import NAME
from danube_pkg.kit.records import Record

LOOKED_AT = (
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
"""Names in a repository's root that say what it is made with."""


class Toolchain(Record):
    """What one kind of project needs. steps: (name, command); image: of its own world."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]


def toolchains(files: Mapping[str, str]) -> tuple[Toolchain, ...]:
    """What the repository is made with. files: those of `LOOKED_AT` that are there, a directory with an empty text.

    A Makefile counts where nothing else is known: it usually calls the others.
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
    """The text of a danubefile. One world takes the pipeline's image; of several each step names its own."""
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
    """Each step is a fresh shell in /workspace; what steps leave there the next ones find."""
{body}
'''


def pipeline_yaml(name: str, repository: str, found: Sequence[Toolchain], team: str = "") -> str:
    """The text of a pipeline for the configuration repository."""
    image = found[0].image if len(found) == 1 else ""
    metadata = f"{{name: {name}, team: {team}}}" if team else f"{{name: {name}}}"
    image_line = (
        f"  image: {image}\n" if image else "  # image: python:3.12   # the server's own programs where none is named\n"
    )
    return f"""# A pipeline; it belongs into pipelines/{name}.yaml of the configuration repository.
apiVersion: {API_VERSION}
kind: Pipeline
metadata: {metadata}
spec:
  repository: {json.dumps(repository, ensure_ascii=False)}
  branch_filter: [main, "release/*"]
  triggers: [{{on: push}}, {{on: pull_request}}]
{image_line}  max_duration_seconds: 1800
  # Hosts that its steps may reach; danube run ends with the list that a build needed.
  # egress_allowlist: [packages.example.org]
"""


def configuration(repository: str = "") -> dict[str, str]:
    """The files of a starter configuration repository, by name; with a first pipeline where a repository is known."""
    files = {"config.yaml": _CONFIG, "teams.yaml": _TEAMS, "users.yaml": _USERS, "README.md": _README}
    if repository:
        name = pipeline_name(repository)
        files[f"pipelines/{name}.yaml"] = pipeline_yaml(name, repository, (), "engineering")
    return files


def pipeline_name(text: str) -> str:
    """A pipeline's name from a URL or a directory's name."""
    last = text.rstrip("/").removesuffix(".git").rpartition("/")[2].rpartition(":")[2].lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", last).strip("-._")[:63].rstrip("-._")
    return name if re.fullmatch(NAME, name) else "app"


_CONFIG = f"""# What holds for the whole server. Every key: docs/configuration.md, or: danube validate --schema
apiVersion: {API_VERSION}
kind: Config
metadata: {{name: global}}
spec:
  max_concurrent_jobs: 4
  retention: {{logs_days: 30, artifacts_days: 14}}
  # Hosts that every job may reach; anything else is refused.
  egress_allowlist: []
  # Credentials for private repositories; each value is a secret that is set with: danube secrets set NAME
  git_authentication: []
  #  - {{type: gitlab_token, name: gitlab, url: "https://gitlab.example.org", token_secret: gitlab-token, match_patterns: ["gitlab.example.org/*"]}}
"""

_TEAMS = f"""# Who may do what. A team's members are users by their addresses; it has admin on the pipelines that it owns.
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

_USERS = f"""# People who log in with a password; where an issuer is configured (auth.oidc) teams alone are enough.
#
# apiVersion: {API_VERSION}
# kind: User
# metadata: {{name: alice}}
# spec: {{email: alice@example.com, password_hash: "…"}}   # htpasswd -nBC 12 ''
"""

_README = """# Danube's configuration

A push to this repository changes the running server; a mistake changes nothing and is explained at its line.

    danube validate            # the same checks, here: before a commit, or in a pipeline
    danube validate --plan     # on the server: who gains or loses which access, which pipelines change
    danube config status       # what is in force, and what is wrong with what was pushed last

`pipelines/` has one file for each pipeline: `danube init` in an application's repository writes one.
"""
