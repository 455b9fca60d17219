"""The files that `danube init` writes: a danubefile and a pipeline for a repository, or a starter configuration.

Pure: from toolchains it makes the texts of files, which users are expected to edit.
"""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Annotated

from danube_pkg.cli.toolchains import Toolchain
from danube_pkg.core.configuration.kinds import API_VERSION
from danube_pkg.core.documents.patterns import NAME
from danube_pkg.kit.records import HIDDEN, Record

NOTHING_FOUND = "no known toolchain was found here: write the commands of this build into danubefile.py"
DOCKERFILE_ALONE = "a Dockerfile alone says not what to test: write it into danubefile.py; step.build_image builds it"
"""With these a written pipeline fails: one that tests nothing must not be green."""


def danubefile(name: str, found: Sequence[Toolchain], missing: str = NOTHING_FOUND) -> str:
    """The text of a danubefile. With several toolchains each step names its image; one uses the pipeline's image.

    missing: what a pipeline without any toolchain says when it fails.
    """
    several = len(found) > 1
    lines = []
    for one in found:
        for step, command in one.steps:
            label = f"{one.directory or one.name}: {step}" if several else step
            image = f', image="{one.image}"' if several and one.image else ""
            directory = f", working_directory={json.dumps(one.directory)}" if one.directory else ""
            lines.append(f"    step.run({json.dumps(command)}, name={json.dumps(label)}{image}{directory})")
    if not lines:
        lines.append(f'    step.run({json.dumps(f"echo {shlex.quote(missing)}; exit 1")}, name="Nothing is built yet")')
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
    hosts = sorted({host for one in found for host in one.allowlist})
    allowlist = "".join(f"    - {json.dumps(host)}\n" for host in hosts)
    allowlist = f"  egress_allowlist:\n{allowlist}" if hosts else "  # egress_allowlist: [packages.example.org]\n"
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
{allowlist}"""


class FirstUser(Record):
    """A user of a starter configuration, who administers the server. hash: of the password, with bcrypt."""

    email: str
    hash: Annotated[str, HIDDEN]


def configuration(repository: str = "", user: FirstUser | None = None) -> dict[str, str]:
    """The files of a starter configuration repository, by name. repository: of a first pipeline; "" for none."""
    files = {"config.yaml": _CONFIG, "teams.yaml": _TEAMS, "users.yaml": _USERS, "README.md": _README}
    if user is not None:
        name = pipeline_name(user.email.partition("@")[0])
        files["users.yaml"] = _FIRST_USER.format(name=name, email=json.dumps(user.email), hash=user.hash)
        member = f"members: [{{email: {json.dumps(user.email)}, role: admin}}], global_admin"
        files["teams.yaml"] = _TEAMS.replace("members: [], global_admin", member)
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

_FIRST_USER = f"""# Users who log in with a password. The hash of another one: htpasswd -nBC 12 \'\'.
apiVersion: {API_VERSION}
kind: User
metadata: {{{{name: {{name}}}}}}
spec: {{{{email: {{email}}, password_hash: "{{hash}}"}}}}
"""

_README = """# Danube's configuration

A push to this repository changes the running server. A push with a mistake changes nothing; the error names its line.

    danube validate            # the same checks on this machine: before a commit, or in a pipeline
    danube validate --plan     # ask the server: who gains or loses access, which pipelines change
    danube config status       # what is applied, and what is wrong with what was pushed last

`pipelines/` has one file for each pipeline; `danube init` in an application's repository writes one.
"""
