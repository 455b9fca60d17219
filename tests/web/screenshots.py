"""`make screenshots`: every page in both themes, into docs/images/, of a server with jobs of every kind."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from build_steps.web import build_page
from tests.support.browser import Visitors, launch
from tests.support.danube_process import ROOT
from tests.support.git_servers import git
from tests.support.webhook_deliveries import SECRET, Sender, github_headers, push_body
from tests.web import pipelines
from tests.web.site import PASSWORD, Site

IMAGES = ROOT / "docs" / "images"
RUNS = 7
SETTLE_MS = 600
"""For transitions of colours and the drawing of charts."""


def main() -> None:
    """Take all pictures."""
    build_page()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="danube-screenshots-") as directory, sync_playwright() as playwright:
        site = Site(Path(directory))
        pipelines.furnish(site, without=("markup", "stream"))
        site.serve()
        browser = launch(playwright)
        try:
            pages = _work(site)
            for dark in (False, True):
                _take(Visitors(browser, site.address, PASSWORD), pages, "dark" if dark else "light", dark=dark)
        finally:
            browser.close()
            site.close()


def _work(site: Site) -> Mapping[str, str]:
    """Run jobs of every kind; returns the path of each picture's page."""
    for _ in range(RUNS):
        ended = [site.trigger("website"), site.trigger("broken")]
        for job in ended:
            site.end_of(job)
    million = site.trigger("million")
    site.end_of(million, 120)
    site.command("secrets", "set", "DEPLOY_TOKEN", "--pipeline", "deploy", stdin="not-shown-anywhere")
    site.command("secrets", "set", "hook", stdin=SECRET)
    deployed = site.trigger("deploy")
    site.end_of(deployed)
    _push(site)
    running = site.trigger("ticking")
    site.wait_for_log(running, "tick 60")
    website, broken = ended
    return {
        "overview": "/",
        "pipeline": "/pipelines/website",
        "job": f"/jobs/{website}",
        "job-failed": f"/jobs/{broken}",
        "job-running": f"/jobs/{running}",
        "log": f"/jobs/{million}#L500000-L500004",
        "queue": "/queue",
        "configuration": "/configuration",
        "job-deploy": f"/jobs/{deployed}",
        "secrets": "/secrets?pipeline=deploy",
        "audit": "/audit",
        "account": "/account",
    }


def _push(site: Site) -> None:
    """Send the webhook of the website's forge."""
    directory = site.repositories / "website"
    body = push_body(str(directory), git(directory, "rev-parse", "HEAD"), message=pipelines.COMMITS["website"][2])
    headers = github_headers(body, "72d3162e-cc78-11e3-81ab-4c9367dc0958")
    if Sender(site.port).post("/hooks/github", body, headers).status != 202:
        raise RuntimeError("the webhook was not taken")
    for job in site.jobs():
        site.end_of(job["id"], 60)


def _take(visitors: Visitors, pages: Mapping[str, str], theme: str, *, dark: bool) -> None:
    anonymous = visitors.page("", "/login", dark=dark)
    anonymous.wait_for_selector("input[name=password]")
    _picture(anonymous, f"login-{theme}")
    page = visitors.page("admin", dark=dark)
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_selector("main h1")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        _picture(page, f"{name}-{theme}")
    phone = visitors.page("admin", pages["job"], dark=dark, width=390, height=780)
    phone.wait_for_selector(".log-row")
    _picture(phone, f"phone-{theme}")
    visitors.close()


def _picture(page: Page, name: str) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
