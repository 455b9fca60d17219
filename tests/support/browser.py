"""A real browser: Debian's Chromium, the tabs of several users in it, and axe, which checks accessibility."""

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.support.danube_process import ROOT

CHROMIUM = "/usr/bin/chromium"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

WAIT_MS = 10_000
"""How long a test waits for what a page shows: a machine that is busy with other tests takes a while."""


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, without a window."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


class Visitors:
    """The browsers of several users of one server: each logs in once, with the same password."""

    def __init__(self, browser: Browser, address: str, password: str) -> None:
        self._browser = browser
        self._address = address
        self._password = password
        self._open: list[BrowserContext] = []
        self.errors: list[str] = []

    def context(self, name: str, *, dark: bool = False, width: int = 1280, height: int = 800) -> BrowserContext:
        """A browser in which that user is logged in; "" for none."""
        made = self._browser.new_context(
            base_url=self._address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )
        made.set_default_timeout(WAIT_MS)
        made.on("weberror", lambda error: self.errors.append(str(error.error)))
        made.on("console", lambda line: self.errors.append(line.text) if "Content Security" in line.text else None)
        self._open.append(made)
        if name:
            answer = made.request.post(
                "/auth/password", data={"email": f"{name}@example.com", "password": self._password}, timeout=WAIT_MS
            )
            assert answer.status == 204, answer.text()
        return made

    def page(self, name: str, path: str = "", *, dark: bool = False, width: int = 1280, height: int = 800) -> Page:
        """A tab of that user, at that path if one is given."""
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


def accessibility_findings(page: Page) -> list[str]:
    """What axe reports of a page as it is now, light and dark, by WCAG 2.2 AA and its best practices."""
    page.evaluate(AXE.read_text())
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
        found += [f"{page.url} {scheme}: {one}" for one in page.evaluate(AXE_RUN)]
    page.emulate_media(color_scheme="light")
    return found
