"""The webhooks of a fake forge: headers and payloads with the fields that real ones have, of each forge."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.core.repositories.forges import Forge
from tests.support.git_servers import git

NONE = "0" * 40
Facts = Mapping[str, Any]


def signature_of(secret: str, body: bytes) -> str:
    """As GitHub, Gitea and Forgejo sign a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers_of(kind: Forge, event: str, delivery: str, signature: str, secret: str) -> dict[str, str]:
    """Gitea and Forgejo send GitHub's headers as well, Forgejo also those of Gitea."""
    if kind is Forge.GITLAB:
        return {"x-gitlab-event": event, "x-gitlab-event-uuid": delivery, "x-gitlab-token": secret}
    found = {"x-github-event": event, "x-github-delivery": delivery, "x-hub-signature-256": f"sha256={signature}"}
    for name in {Forge.GITEA: ("gitea",), Forge.FORGEJO: ("gitea", "forgejo")}.get(kind, ()):
        found |= {f"x-{name}-event": event, f"x-{name}-delivery": delivery, f"x-{name}-signature": signature}
    return found


def push_payload(
    kind: Forge, repository: Facts, bare: Path, ref: str, moved: tuple[str, str], user: str
) -> tuple[str, Mapping[str, Any]]:
    """The event's name and the payload. moved: the object before and after, all zeros for none."""
    before, after = moved
    commit = git(bare, "rev-parse", f"{after}^{{commit}}") if after != NONE else ""
    head = _commit(bare, commit) if commit else None
    if kind is Forge.GITLAB:
        is_tag = ref.startswith("refs/tags/")
        payload = {
            "object_kind": "tag_push" if is_tag else "push",
            "ref": ref,
            "before": before,
            "after": after,
            "checkout_sha": commit or None,
            "user_username": user,
            "project": _project(repository),
            "commits": [head] if head is not None else [],
        }
        return "Tag Push Hook" if is_tag else "Push Hook", payload
    return "push", {
        "ref": ref,
        "before": before,
        "after": after,
        "commits": [head] if head is not None and ref.startswith("refs/heads/") else [],
        "head_commit": head,
        "repository": _repository(repository),
        "sender": {"login": user},
    }


def pull_payload(
    kind: Forge, base: Facts, head: Facts, number: int, branch: str, sha: str, user: str
) -> tuple[str, Mapping[str, Any]]:
    """A request that was opened. branch: "" for one without a branch (AGit), whose head the forge names by its ref."""
    if kind is Forge.GITLAB:
        attributes = {
            "iid": number,
            "action": "open",
            "title": "A proposal",
            "url": f"{base['html_url']}/-/merge_requests/{number}",
            "source_branch": branch,
            "target_branch": "main",
            "source_project_id": head["id"],
            "target_project_id": base["id"],
            "source": _project(head),
            "last_commit": {"id": sha, "message": "a proposal\n", "author": {"name": user}},
            "updated_at": f"2026-11-30 03:00:0{number} UTC",
        }
        project = _project(base)
        return "Merge Request Hook", {
            "object_kind": "merge_request",
            "user": {"username": user},
            "project": project,
            "object_attributes": attributes,
        }
    source = {"ref": branch or f"refs/pull/{number}/head", "label": branch, "sha": sha, "repo": _repository(head)}
    target = {"ref": "main", "label": "main", "sha": "1" * 40, "repo": _repository(base)}
    if kind is not Forge.GITHUB:
        source["repo_id"], target["repo_id"] = head["id"], base["id"]
    return "pull_request", {
        "action": "opened",
        "number": number,
        "repository": _repository(base),
        "sender": {"login": user},
        "pull_request": {
            "title": "A proposal",
            "html_url": f"{base['html_url']}/pulls/{number}",
            "user": {"login": user},
            "head": source,
            "base": target,
            "updated_at": f"2026-11-30T03:00:0{number}Z",
        },
    }


def _repository(facts: Facts) -> dict[str, Any]:
    return {
        "id": facts["id"],
        "full_name": facts["name"],
        "clone_url": facts["clone_url"],
        "html_url": facts["html_url"],
    }


def _project(facts: Facts) -> dict[str, Any]:
    return {
        "id": facts["id"],
        "path_with_namespace": facts["name"],
        "git_http_url": facts["clone_url"],
        "web_url": facts["html_url"],
    }


def _commit(bare: Path, sha: str) -> dict[str, Any]:
    message, author = git(bare, "log", "-1", "--format=%B%x00%an", sha).split("\0")
    return {"id": sha, "message": message, "author": {"name": author}, "added": [], "modified": [], "removed": []}
