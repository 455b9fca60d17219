"""The forges' APIs for webhooks, deploy keys and rights: requests as data, and what their answers say. Pure.

GitHub: REST API, repository webhooks. GitLab: project webhooks API v4. Gitea and Forgejo: API v1.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from danube_pkg.core.repositories.forges import ApiRequest, Forge, ForgeProject
from danube_pkg.kit.records import Record

PAGE = 100
"""Webhooks or keys that are read of a repository: GitHub allows 20, the others a few more."""

MARKER = "danube-hook"
"""The parameter of the webhook's URL by which the server knows a webhook that it made."""

EVENTS = ("push", "pull_request")
_GITLAB_EVENTS = ("push_events", "tag_push_events", "merge_requests_events")

_DEVELOPER, _MAINTAINER = 30, 40
"""GitLab's access levels: the first may set commit statuses, the second may change webhooks."""


class ForgeHook(Record):
    """A webhook as the forge lists it. id: the forge's. is_complete: it is active and sends what pipelines need."""

    id: str
    url: str
    is_complete: bool

    @property
    def marker(self) -> str:
        """What the server put into the URL of a webhook that it made; "" for others."""
        return marker_of(urlsplit(self.url).query)


class Rights(Record):
    """What a credential may do with a repository. repository_id: the forge's own; 0 if it is not known."""

    repository_id: int
    status: bool
    hooks: bool


def marker_of(query: str) -> str:
    """The marker in the query of a webhook's URL; "" where there is none."""
    return parse_qs(query).get(MARKER, [""])[0]


def repository_request(project: ForgeProject, token: str) -> ApiRequest:
    """The request for a repository with the rights of the credential."""
    return _request(project, token, "GET", "")


def rights_of(forge: Forge, document: object) -> Rights:
    """The rights in the answer. What is not stated is not granted."""
    found = document if isinstance(document, Mapping) else {}
    number = found.get("id")
    repository_id = number if isinstance(number, int) else 0
    rights = found.get("permissions")
    rights = rights if isinstance(rights, Mapping) else {}
    if forge is Forge.GITLAB:
        level = max((_level(rights.get(name)) for name in ("project_access", "group_access")), default=0)
        return Rights(repository_id, level >= _DEVELOPER, level >= _MAINTAINER)
    return Rights(repository_id, rights.get("push") is True, rights.get("admin") is True)


def _level(access: object) -> int:
    level = access.get("access_level") if isinstance(access, Mapping) else None
    return level if isinstance(level, int) else 0


def hooks_request(project: ForgeProject, token: str) -> ApiRequest:
    """The request for the repository's webhooks."""
    return _request(project, token, "GET", f"/hooks?{_page(project.forge)}")


def hooks_of(forge: Forge, document: object) -> Sequence[ForgeHook]:
    """The webhooks in the answer."""
    listed = document if isinstance(document, list) else []
    return [_hook(forge, one) for one in listed if isinstance(one, Mapping)]


def hook_of(forge: Forge, document: object) -> ForgeHook | None:
    """The webhook in the answer to its creation."""
    return _hook(forge, document) if isinstance(document, Mapping) and "id" in document else None


def _hook(forge: Forge, one: Mapping[str, Any]) -> ForgeHook:
    if forge is Forge.GITLAB:
        return ForgeHook(str(one.get("id")), str(one.get("url")), all(one.get(name) is True for name in _GITLAB_EVENTS))
    config, events = one.get("config"), one.get("events")
    config = config if isinstance(config, Mapping) else {}
    sends = isinstance(events, list) and set(EVENTS) <= set(map(str, events))
    is_json = config.get("content_type") in (None, "json")
    return ForgeHook(str(one.get("id")), str(config.get("url")), sends and is_json and one.get("active") is True)


def hook_request(project: ForgeProject, token: str, url: str, secret: str, hook_id: str = "") -> ApiRequest:
    """The request that makes a webhook, or that repairs the one of that id."""
    verify = url.startswith("https://")
    body: dict[str, object]
    match project.forge:
        case Forge.GITLAB:
            body = {
                "url": url,
                "token": secret,
                "enable_ssl_verification": verify,
                **dict.fromkeys(_GITLAB_EVENTS, True),
            }
        case _:
            config = {"url": url, "content_type": "json", "secret": secret}
            kind = {"name": "web"} if project.forge is Forge.GITHUB else {"type": str(project.forge)}
            body = {"config": config, "events": list(EVENTS), "active": True, **({} if hook_id else kind)}
    if not hook_id:
        return _request(project, token, "POST", "/hooks", body)
    verb = "PUT" if project.forge is Forge.GITLAB else "PATCH"
    return _request(project, token, verb, f"/hooks/{quote(hook_id, safe='')}", body)


def keys_request(project: ForgeProject, token: str) -> ApiRequest:
    """The request for the repository's deploy keys."""
    return _request(project, token, "GET", f"{_keys(project.forge)}?{_page(project.forge)}")


def has_key(document: object, public: str) -> bool:
    """Whether the answer lists that key, whatever its comment."""
    wanted = public.split()[:2]
    listed = document if isinstance(document, list) else []
    return any(str(one.get("key", "")).split()[:2] == wanted for one in listed if isinstance(one, Mapping))


def key_request(project: ForgeProject, token: str, title: str, public: str) -> ApiRequest:
    """The request that adds a deploy key, which may only read."""
    rights = {"can_push": False} if project.forge is Forge.GITLAB else {"read_only": True}
    return _request(project, token, "POST", _keys(project.forge), {"title": title, "key": public, **rights})


def _keys(forge: Forge) -> str:
    return "/deploy_keys" if forge is Forge.GITLAB else "/keys"


def _page(forge: Forge) -> str:
    return f"limit={PAGE}" if forge in (Forge.GITEA, Forge.FORGEJO) else f"per_page={PAGE}"


def _request(
    project: ForgeProject, token: str, verb: str, rest: str, body: Mapping[str, object] | None = None
) -> ApiRequest:
    if project.forge is Forge.GITLAB:
        headers = {"PRIVATE-TOKEN": token}
        path = f"/projects/{quote(project.project, safe='')}"
    else:
        kind = "Bearer" if project.forge is Forge.GITHUB else "token"
        headers = {"Authorization": f"{kind} {token}", "Accept": "application/json"}
        path = f"/repos/{quote(project.project)}"
    return ApiRequest(f"{project.api_url}{path}{rest}", headers, body or {}, verb)
