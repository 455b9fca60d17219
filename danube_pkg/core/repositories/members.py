"""Whether a user may write to a repository: the requests to the forges' APIs, and what their answers mean.

GitHub: https://docs.github.com/en/rest/collaborators/collaborators, "Get repository permissions for a user". Gitea and
Forgejo have the same path. GitLab: https://docs.gitlab.com/api/project_members/, "including inherited".
"""

from collections.abc import Collection, Mapping
from urllib.parse import quote

from danube_pkg.core.repositories.forges import ApiRequest, Forge, ForgeProject, api_headers

DEVELOPER = 30
"""GitLab's access level from which users may push to branches that are not protected."""

_WRITERS: Mapping[Forge, Collection[str]] = {
    Forge.GITHUB: ("admin", "write"),
    Forge.GITEA: ("owner", "admin", "write"),
    Forge.FORGEJO: ("owner", "admin", "write"),
}


def member_request(project: ForgeProject, login: str, user_id: int, token: str) -> ApiRequest:
    """The request for a user's rights. login: the user's name; user_id: its number, by which GitLab is asked."""
    headers = api_headers(project, token)
    if project.forge is Forge.GITLAB:
        name = quote(project.project, safe="")
        return ApiRequest(f"{project.api_url}/projects/{name}/members/all/{user_id}", headers, method="GET")
    url = f"{project.api_url}/repos/{quote(project.project)}/collaborators/{quote(login, safe='')}/permission"
    return ApiRequest(url, headers, method="GET")


def may_write(forge: Forge, answer: object, login: str, user_id: int) -> bool:
    """Whether the answer says so of this very user. Whatever it does not say clearly counts as no."""
    if not isinstance(answer, dict):
        return False
    if forge is Forge.GITLAB:
        level = answer.get("access_level")
        is_active = answer.get("state") == "active" and answer.get("id") == user_id
        return is_active and isinstance(level, int) and level >= DEVELOPER
    user = answer.get("user")
    name = user.get("login") if isinstance(user, dict) else None
    is_user = isinstance(name, str) and name.casefold() == login.casefold()
    return is_user and answer.get("permission") in _WRITERS[forge]
