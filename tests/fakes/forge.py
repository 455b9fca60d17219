"""A forge on loopback: repositories over HTTP, webhooks after each push, and the parts of its API that Danube uses.

It behaves as GitHub, GitLab, Gitea or Forgejo. `tests/e2e/test_forge.py` runs the same scenario on it and on a real
Gitea, so that it cannot drift. A delivery that is refused is not sent again, as forges have it.
"""

import http.client
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from danube_pkg.core.repositories.forges import Forge
from tests.fakes.forge_payloads import headers_of, pull_payload, push_payload, signature_of
from tests.support.git_servers import HttpServer, answer_request, git, login_of, read_body
from tests.support.waiting import wait_until

NONE = "0" * 40
SECONDS = 30.0
ADMIN, BOT = "ada", "danube-bot"
API_PATHS = {Forge.GITHUB: "/api/v3", Forge.GITLAB: "/api/v4", Forge.GITEA: "/api/v1", Forge.FORGEJO: "/api/v1"}


@dataclass
class FakeHook:
    """A webhook of a repository, or of all of an owner."""

    id: int
    url: str
    secret: str
    active: bool = True
    events: tuple[str, ...] = ("push", "pull_request")

    def document(self, kind: Forge) -> dict[str, Any]:
        if kind is Forge.GITLAB:
            names = ("push_events", "tag_push_events", "merge_requests_events")
            return {"id": self.id, "url": self.url, **dict.fromkeys(names, True)}
        config = {"url": self.url, "content_type": "json"}
        return {"id": self.id, "config": config, "events": list(self.events), "active": self.active}


@dataclass
class FakeRepository:
    """name: `owner/name`. bot_may: what the bot's token may do."""

    id: int
    name: str
    bare: Path
    hooks: dict[int, FakeHook] = field(default_factory=dict)
    keys: list[Mapping[str, Any]] = field(default_factory=list)
    statuses: dict[str, dict[str, str]] = field(default_factory=dict)
    bot_may: str = "admin"


class FakeForge(HttpServer):
    """Any password is the user's token. deliveries: each answer to a webhook, `EVENT STATUS`; 0 for no answer."""

    def __init__(self, kind: Forge, root: Path) -> None:
        super().__init__(root, lambda user, password: bool(user))
        self.kind = kind
        self.by_name: dict[str, FakeRepository] = {}
        self.owner_hooks: dict[str, FakeHook] = {}
        self.deliveries: list[str] = []
        self.calls: list[str] = []
        self._ids = itertools.count(11)
        self._numbers = itertools.count(1)
        self._old_names: dict[str, str] = {}

    # --- what an administrator does at the forge

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{API_PATHS[self.kind]}"

    @property
    def token(self) -> str:
        return "the-token-of-the-bot"

    def create_repository(self, owner: str, name: str) -> str:
        """Its URL, without a login."""
        bare = self.root / owner / f"{name}.git"
        bare.mkdir(parents=True)
        git(bare, "init", "-q", "--bare", "-b", "main")
        git(bare, "config", "http.receivepack", "true")
        git(bare, "config", "receive.advertisePushOptions", "true")
        self.by_name[f"{owner}/{name}"] = FakeRepository(next(self._ids), f"{owner}/{name}", bare)
        return self.clone_url(f"{owner}/{name}")

    def clone_url(self, name: str, user: str = "") -> str:
        login = f"{user}:password@" if user else ""
        return f"http://{login}127.0.0.1:{self.port}/{name}.git"

    def commit(self, name: str) -> None:
        """A commit on main, which is pushed without a user."""
        bare = self.by_name[name].bare
        tree = git(bare, "hash-object", "-t", "tree", "-w", "/dev/null")
        git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", tree, "-m", "a commit"))

    def pushed_body(self, name: str) -> tuple[str, bytes]:
        """The event and the body of the delivery that reports main as new."""
        repository = self.by_name[name]
        moved = (NONE, git(repository.bare, "rev-parse", "refs/heads/main"))
        event, payload = push_payload(
            self.kind, self._facts(repository), repository.bare, "refs/heads/main", moved, ADMIN
        )
        return event, json.dumps(payload).encode()

    def add_hook(self, name: str, url: str, secret: str) -> None:
        made = FakeHook(next(self._ids), url, secret)
        self.by_name[name].hooks[made.id] = made

    def add_owner_hook(self, owner: str, url: str, secret: str) -> None:
        self.owner_hooks[owner] = FakeHook(next(self._ids), url, secret)

    def wait_pushed(self, name: str) -> None:
        """Until the first push was processed."""
        bare = self.by_name[name].bare
        wait_until(lambda: refs_of(bare), SECONDS, "the push to be processed")

    def add_deploy_key(self, name: str, public: str) -> None:
        self.by_name[name].keys.append({"title": "danube", "key": public, "read_only": True})

    def ssh_url(self, name: str) -> str:
        """ "": it is read over HTTP only."""
        return ""

    def fork(self, name: str, user: str) -> str:
        """The URL of a user's fork."""
        made = self.create_repository(user, name.partition("/")[2])
        fork = self.by_name[f"{user}/{name.partition('/')[2]}"]
        git(fork.bare, "fetch", "-q", str(self.by_name[name].bare), "+refs/heads/*:refs/heads/*")
        return made

    def open_proposal(self, name: str, user: str, branch: str) -> int:
        """A pull or merge request from a user's fork into main."""
        fork = self.by_name[f"{user}/{name.partition('/')[2]}"]
        sha = git(fork.bare, "rev-parse", f"refs/heads/{branch}")
        return self._propose(self.by_name[name], fork, branch, sha, user)

    def rename(self, name: str, new: str) -> None:
        repository = self.by_name.pop(name)
        renamed = f"{name.partition('/')[0]}/{new}"
        repository.name, self.by_name[renamed], self._old_names[name] = renamed, repository, renamed

    def set_bot(self, name: str, may: str) -> None:
        """may: `admin`, `write`, `read`, or "" for a bot that does not see the repository."""
        self.by_name[name].bot_may = may

    def statuses(self, name: str, sha: str) -> Mapping[str, str]:
        """The state of each context, in the forge's words."""
        return dict(self._find(name).statuses.get(sha, {}))

    # --- what it does by itself

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        if path.startswith(API_PATHS[self.kind] + "/"):
            self._serve_api(request, path.removeprefix(API_PATHS[self.kind]))
            return
        match = re.match(r"/([^/]+/[^/]+?)\.git(/.*)", request.path)
        repository = self._find(match[1]) if match is not None else None
        if repository is None or match is None:
            answer_request(request, 404, {}, b"")
            return
        user, _ = login_of(request.headers.get("Authorization", ""))
        if user == BOT and not repository.bot_may:
            answer_request(request, 404, {}, b"")
            return
        request.path = f"/{repository.bare.relative_to(self.root)}{match[2]}"
        is_push = request.path.endswith("/git-receive-pack") and request.command == "POST"
        before = refs_of(repository.bare) if is_push else {}
        super().serve(request)
        if is_push:
            self._pushed(repository, before, user or ADMIN)

    def _find(self, name: str) -> FakeRepository:
        return self.by_name[self._old_names.get(name, name)]

    def _pushed(self, repository: FakeRepository, before: Mapping[str, str], user: str) -> None:
        after = refs_of(repository.bare)
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref, NONE), after.get(ref, NONE)
            if old == new:
                continue
            if ref.startswith("refs/for/"):
                git(repository.bare, "update-ref", "-d", ref)
                self._propose(repository, repository, "", new, user)
            elif ref.startswith(("refs/heads/", "refs/tags/")):
                event, payload = push_payload(
                    self.kind, self._facts(repository), repository.bare, ref, (old, new), user
                )
                self._deliver(repository, event, payload)

    def _propose(self, base: FakeRepository, head: FakeRepository, branch: str, sha: str, user: str) -> int:
        """branch: "" for a request without one (AGit)."""
        number = next(self._numbers)
        kind = "merge-requests" if self.kind is Forge.GITLAB else "pull"
        git(base.bare, "fetch", "-q", str(head.bare), f"{sha}:refs/{kind}/{number}/head")
        event, payload = pull_payload(self.kind, self._facts(base), self._facts(head), number, branch, sha, user)
        self._deliver(base, event, payload)
        if self.kind in (Forge.GITEA, Forge.FORGEJO) and branch:  # as Gitea 1.22 does after a fork was pushed
            self._deliver(base, event, {**payload, "action": "synchronized"})
        return number

    def _facts(self, repository: FakeRepository) -> dict[str, Any]:
        home = self.clone_url(repository.name).removesuffix(".git")
        return {"id": repository.id, "name": repository.name, "clone_url": f"{home}.git", "html_url": home}

    def _deliver(self, repository: FakeRepository, event: str, payload: Mapping[str, Any]) -> None:
        owner = self.owner_hooks.get(repository.name.partition("/")[0])
        for hook in [*repository.hooks.values(), *([owner] if owner is not None else [])]:
            if hook.active:
                self.deliveries.append(f"{event} {self.send(hook, event, payload)}")

    def send(self, hook: FakeHook, event: str, payload: Mapping[str, Any]) -> int:
        body = json.dumps(payload).encode()
        delivery = f"{next(self._ids)}-delivery"
        headers = headers_of(self.kind, event, delivery, signature_of(hook.secret, body), hook.secret)
        url = urlsplit(hook.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        try:
            target = f"{url.path}?{url.query}" if url.query else url.path
            connection.request("POST", target, body, {"content-type": "application/json", **headers})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    # --- the API

    def _serve_api(self, request: BaseHTTPRequestHandler, path: str) -> None:
        body = read_body(request)
        self.calls.append(f"{request.command} {path}")
        given = request.headers.get("PRIVATE-TOKEN") or request.headers.get("Authorization", "").partition(" ")[2]
        pattern = r"/projects/([^/]+)(/.*)?" if self.kind is Forge.GITLAB else r"/repos/([^/]+/[^/]+)(/.*)?"
        found = re.fullmatch(pattern, path)
        if given != self.token:
            answer_json(request, 401, {"message": "Unauthorized"})
            return
        name = unquote(found[1]) if found is not None else ""
        if name in self._old_names:
            new = self._old_names[name]
            target = path.replace(
                found[1] if found is not None else "", quote(new, safe="") if self.kind is Forge.GITLAB else new, 1
            )
            answer_request(request, 307, {"Location": f"{API_PATHS[self.kind]}{target}"}, b"")
            return
        repository = self.by_name.get(name)
        if repository is None or not repository.bot_may:
            answer_json(request, 404, {"message": "Not Found"})
            return
        answer_json(request, *self._answer_api(request.command, repository, (found[2] or "") if found else "", body))

    def _answer_api(self, verb: str, repository: FakeRepository, rest: str, body: bytes) -> tuple[int, Any]:
        given = json.loads(body or b"{}")
        if match := re.fullmatch(r"/statuses/([0-9a-f]{40})", rest):
            if repository.bot_may == "read":
                return 403, {"message": "Forbidden"}
            repository.statuses.setdefault(match[1], {})[given.get("context") or given["name"]] = given["state"]
            return 201, {}
        if not rest:
            return 200, self._repository_document(repository)
        if repository.bot_may != "admin":
            return (404 if self.kind is Forge.GITHUB else 403), {"message": "Forbidden"}
        if rest in ("/keys", "/deploy_keys"):
            if verb == "POST":
                repository.keys.append(given)
                return 201, {"id": next(self._ids), **given}
            return 200, list(repository.keys)
        return self._answer_hooks(verb, repository, rest, given)

    def _answer_hooks(
        self, verb: str, repository: FakeRepository, rest: str, given: Mapping[str, Any]
    ) -> tuple[int, Any]:
        config = given.get("config", {})
        url, secret = config.get("url", given.get("url", "")), config.get("secret", given.get("token", ""))
        if rest == "/hooks" and verb == "POST":
            made = FakeHook(next(self._ids), url, secret, given.get("active", True), tuple(given.get("events", ())))
            repository.hooks[made.id] = made
            return 201, made.document(self.kind)
        if rest == "/hooks":
            return 200, [one.document(self.kind) for one in repository.hooks.values()]
        hook = repository.hooks.get(int(rest.rpartition("/")[2]))
        if hook is None:
            return 404, {"message": "Not Found"}
        if verb in ("PATCH", "PUT"):
            hook.url, hook.secret, hook.active = url or hook.url, secret or hook.secret, given.get("active", True)
        return 200, hook.document(self.kind)

    def _repository_document(self, repository: FakeRepository) -> Mapping[str, Any]:
        may = repository.bot_may
        if self.kind is Forge.GITLAB:
            level = {"admin": 40, "write": 30, "read": 20}[may]
            access = {"project_access": {"access_level": level}, "group_access": None}
            return {"id": repository.id, "path_with_namespace": repository.name, "permissions": access}
        rights = {"admin": may == "admin", "push": may in ("admin", "write"), "pull": True}
        return {"id": repository.id, "full_name": repository.name, "permissions": rights}


def refs_of(bare: Path) -> dict[str, str]:
    """The hash of each ref."""
    lines = git(bare, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


def answer_json(request: BaseHTTPRequestHandler, status: int, document: Any) -> None:
    answer_request(request, status, {"Content-Type": "application/json"}, json.dumps(document).encode())
