"""A danube with people in it, and what a browser sees of it.

site.pipeline("app", DANUBEFILE)
site.serve()
page = visitors.page("writer")
page.goto(f"{site.address}/jobs/{site.trigger('app')}")
"""

import json
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import bcrypt
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.support.git_servers import git
from tests.support.server import ROOT, Installation

PASSWORD = "correct horse battery staple"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()

PEOPLE: Mapping[str, Mapping[str, str]] = {
    "reader": {"readers": "member"},
    "writer": {"writers": "member"},
    "owner": {"core": "admin"},
    "admin": {"operators": "member"},
}
"""Somebody → their teams with their role in each."""

LEVELS = {"readers": "read", "writers": "write", "core": "admin"}
"""On every pipeline."""

CHROMIUM = "/usr/bin/chromium"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

WAIT_MS = 10_000
"""For what a page shows; a machine that is busy with other tests takes a while."""


class Site(Installation):
    """A danube whose server people can log in to. Pipelines are there before it serves."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        settings = path / "danube.toml"
        text = settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{self.port}")
        settings.write_text(f'{text}\n[egress]\nhosts = {{"files.test" = "127.0.0.1"}}\n')
        self.address = f"http://127.0.0.1:{self.port}"

        self._configure("config", "Config", {"global": {"webhooks": [{"forge": "github", "secrets": ["hook"]}]}})
        self._configure(
            "users", "User", {name: {"email": f"{name}@example.com", "password_hash": HASH} for name in PEOPLE}
        )
        teams = {
            team: {
                "members": [
                    {"email": f"{name}@example.com", "role": roles[team]}
                    for name, roles in PEOPLE.items()
                    if team in roles
                ],
                **({"global_admin": True} if team == "operators" else {}),
            }
            for team in ("core", "readers", "writers", "operators")
        }
        self._configure("teams", "Team", teams)

    def serve(self, umask: int = -1) -> None:
        """The configuration lives in Git; what was written since its last commit is committed first."""
        if not (self.config / ".git").exists():
            git(self.config, "init", "-q", "-b", "main")
        self.commit()
        super().serve(umask)

    def commit(self, message: str = "change") -> str:
        """Of all that was written into the configuration; the commit's hash."""
        git(self.config, "add", "-A")
        git(self.config, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.config, "rev-parse", "HEAD")

    def sync(self) -> str:
        """Commit, make the server read the configuration, and return the commit's hash."""
        sha = self.commit()
        self.command("config", "sync", check=False)
        return sha

    def _configure(self, file: str, kind: str, specs: Mapping[str, object]) -> None:
        documents = [
            {"apiVersion": "danube.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
            for name, spec in specs.items()
        ]
        (self.config / f"{file}.yaml").write_text("\n---\n".join(map(json.dumps, documents)))

    def pipeline(self, name: str, danubefile: str | None, files: Mapping[str, str] | None = None, **spec: Any) -> Path:
        """Everybody of PEOPLE may with it what LEVELS says."""
        permissions = [{"team": team, "level": level} for team, level in LEVELS.items()]
        directory = super().pipeline(name, danubefile, files, permissions=permissions, **spec)
        written = self.config / "pipelines" / f"{name}.yaml"
        document = json.loads(written.read_text())
        document["metadata"]["team"] = "core"
        written.write_text(yaml.safe_dump(document, sort_keys=False))
        return directory


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


class Visitors:
    """People's browsers: each logs in once."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self._browser = browser
        self._house = site
        self._open: list[BrowserContext] = []
        self.errors: list[str] = []

    def context(self, name: str, *, dark: bool = False, width: int = 1280, height: int = 800) -> BrowserContext:
        """A browser in which somebody is logged in; "" for nobody."""
        made = self._browser.new_context(
            base_url=self._house.address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        made.set_default_timeout(WAIT_MS)
        made.on("weberror", lambda error: self.errors.append(str(error.error)))
        made.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        self._open.append(made)
        if name:
            answer = made.request.post(
                "/auth/password", data={"email": f"{name}@example.com", "password": PASSWORD}, timeout=WAIT_MS
            )
            assert answer.status == 204, answer.text()
        return made

    def page(self, name: str, path: str = "", *, dark: bool = False, width: int = 1280, height: int = 800) -> Page:
        """A tab of somebody's, at that path if one is given."""
        page = self.context(name, dark=dark, width=width, height=height).new_page()
        if path:
            page.goto(path)
        return page

    def close(self) -> None:
        for context in self._open:
            context.close()
        self._open.clear()


AXE_RUN = """async () => {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations } = await axe.run(document, { runOnly: tags });
  return violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.target} ${node.failureSummary}`));
}"""


def complaints(page: Page) -> list[str]:
    """What axe finds wrong with a page as it is now, light and dark, by WCAG 2.2 AA and beyond."""
    page.evaluate(AXE.read_text())
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
        found += [f"{page.url} {scheme}: {one}" for one in page.evaluate(AXE_RUN)]
    page.emulate_media(color_scheme="light")
    return found
