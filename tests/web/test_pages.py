"""The pages for every user: overview, pipeline, job, shortcuts, small screens, caching."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import Visitors, accessibility_findings
from tests.web.pipelines import ALL, EVIL, EVIL_BRANCH
from tests.web.site import Site

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def jobs(site: Site) -> dict[str, str]:
    """One ended job of each kind."""
    made = {name: site.trigger(name) for name in ("website", "broken", "markup", "deploy")}
    for job in made.values():
        site.end_of(job)
    return made


def test_the_overview_is_live_and_filtered_while_typing(site: Site, visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("reader", "/")
    expect(page.locator(".pipeline")).to_have_count(len(ALL))
    expect(page.get_by_role("region", name="Team core").locator(".pipeline")).to_have_count(len(ALL))
    row = page.locator(".pipeline", has_text="website")
    before = row.locator(".strip-run").count()
    assert before >= 1
    job = site.trigger("website")
    expect(row.locator(f"a[href='/jobs/{job}']").first).to_be_visible()
    site.end_of(job)
    expect(row.locator(".status-icon.is-success")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("bro")
    expect(page.locator(".pipeline")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=bro$"))
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/pipelines/broken"))
    page.go_back()
    expect(page.locator(".pipeline")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_job_shows_allowed_and_refused_connections_and_the_secrets_it_read(
    site: Site, visitors: Visitors, jobs: dict[str, str]
) -> None:
    page = visitors.page("writer", f"/jobs/{jobs['deploy']}")
    expect(page.get_by_role("heading", name="Provenance")).to_be_visible()
    expect(page.get_by_role("link", name="Signed statement")).to_be_visible()
    expect(page.locator(".secret-names")).to_have_text("DEPLOY_TOKEN")
    expect(page.locator(".destination")).to_have_count(0)
    page.get_by_text("Allowed and refused connections").click()
    reached, refused = page.locator(".destination").nth(0), page.locator(".destination").nth(1)
    expect(reached).to_contain_text(f"files.test:{site.port} allowed 1 time")
    expect(refused).to_contain_text("evil.test:443 refused 1 time")
    expect(page.locator(".egress h3")).to_have_text(["Fetch", "Reach an unlisted host"])
    expect(page.locator(".egress .command")).to_have_text("egress_allowlist: [evil.test]")
    page.goto("/secrets?pipeline=deploy")
    row = page.get_by_role("row", name="DEPLOY_TOKEN")
    expect(row).to_contain_text(re.compile(r"(just now|ago) by deploy"))
    row.get_by_role("link", name="deploy").click()
    expect(page).to_have_url(re.compile(jobs["deploy"]))


def test_a_pipelines_filters_are_kept_in_the_address(visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("reader", "/pipelines/broken")
    expect(page.locator(".run")).not_to_have_count(0)
    page.get_by_label("Status").select_option("success")
    expect(page.get_by_text("No runs match the filters.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"status=success"))
    page.goto("/pipelines/broken?status=failure")
    expect(page.locator(".run")).not_to_have_count(0)
    expect(page.get_by_label("Status")).to_have_value("failure")


def test_a_pipeline_shows_its_triggers_and_its_configuration(
    site: Site, visitors: Visitors, jobs: dict[str, str]
) -> None:
    page = visitors.page("reader", "/pipelines/website")
    expect(page.locator(".trigger").nth(0)).to_have_text("A push to main or release/*")
    expect(page.locator(".trigger").nth(1)).to_contain_text(
        re.compile(r"At 03:00 on Monday to Friday \(Europe/Vienna\), next in \d+")
    )
    page.get_by_text("Applied YAML").click()
    expect(page.locator(".applied-yaml pre")).to_have_text(
        (site.config / "pipelines" / "website.yaml").read_text().strip()
    )
    expect(page.get_by_text("pipelines/website.yaml:1")).to_be_visible()
    assert page.locator("a", has_text="pipelines/website.yaml").count() == 0, "a directory has no page at a forge"


def test_only_web_addresses_become_links_to_the_forge(visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("reader")
    changes = {"place_url": "https://github.com/team/config/blob/abc/pipelines/website.yaml#L1"}
    _change_answers(page, "**/api/v1/pipelines/website", changes)
    page.goto("/pipelines/website")
    expect(page.get_by_role("link", name="pipelines/website.yaml:1")).to_have_attribute("href", changes["place_url"])
    for url, count in (("https://github.com/team/app/commit/abc", 2), ("javascript:alert(1)", 0)):
        _change_answers(page, f"**/api/v1/jobs/{jobs['markup']}", {"commit_url": url})
        page.goto(f"/jobs/{jobs['markup']}")
        expect(page.locator(".job-commit")).to_be_visible()
        expect(page.locator(f".job a[href='{url}']")).to_have_count(count)


def _change_answers(page: Page, path: str, changes: dict[str, str]) -> None:
    """Replace fields of the server's responses."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), **changes})

    page.unroute(path)
    page.route(path, answer)


def test_an_unknown_job_is_reported(visitors: Visitors) -> None:
    page = visitors.page("reader", "/jobs/01nowhere")
    expect(page.get_by_role("alert")).to_contain_text("there is no job")


def test_markup_is_rendered_as_text_from_every_source(visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("reader", f"/jobs/{jobs['markup']}")
    expect(page.locator(".job-commit")).to_have_text(EVIL)
    expect(page.locator(".job-facts")).to_contain_text(EVIL_BRANCH)
    # Git itself leaves angle brackets out of a name.
    expect(page.locator(".job-facts")).to_contain_text("by img src=x onerror=window.evil=1")
    expect(page.locator(".step-name").first).to_have_text(f"step {EVIL}")
    expect(page.locator(".job-sentence")).to_contain_text(EVIL)
    expect(page.locator(".log-row", has_text=EVIL).first).to_be_attached()
    expect(page.locator(".artifact-name").first).to_have_text("b.onerror-evil")
    for path in ("/", "/pipelines/markup", "/queue"):
        page.goto(path)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        if path.endswith("markup"):
            expect(page.locator(".run-commit").first).to_have_text(EVIL)
    assert page.evaluate("window.evil") is None
    assert page.locator("main img, main script").count() == 0


def test_axe_finds_nothing_on_any_page_light_and_dark(visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("admin")
    deploy = f"/jobs/{jobs['deploy']}"
    paths = [
        "/", "/pipelines/website", f"/jobs/{jobs['website']}", deploy, f"/jobs/{jobs['broken']}", "/queue",
        "/configuration", "/secrets", "/secrets?pipeline=deploy", "/audit", "/account", "/jobs/01nowhere",
    ]  # fmt: skip
    found = []
    for path in paths:
        page.goto(path)
        expect(page.locator("main h1, main [role=alert]").first).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        if path == deploy:
            expect(page.locator(".destination").first).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        found += accessibility_findings(page)
    visitor = visitors.page("", "/login")
    expect(visitor.get_by_label("Password")).to_be_visible()
    assert found + accessibility_findings(visitor) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(visitors: Visitors, jobs: dict[str, str]) -> None:
    page = visitors.page("admin", width=360, height=740)
    for path in (
        "/",
        "/pipelines/website",
        f"/jobs/{jobs['website']}",
        "/queue",
        "/secrets",
        "/account",
        "/configuration",
    ):
        page.goto(path)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_assets_are_cached_by_their_names_and_inline_scripts_are_forbidden(site: Site, visitors: Visitors) -> None:
    page = visitors.page("reader")
    index = page.request.get("/")
    assert "immutable" not in index.headers["cache-control"]
    policy = index.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    again = page.request.get("/", headers={"if-none-match": index.headers["etag"]})
    assert again.status == 304
    assert again.headers["content-security-policy"] == policy
    asset = re.findall(r'"(/assets/[^"]+\.js)"', index.text())[0]
    kept = page.request.get(asset)
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["x-content-type-options"] == "nosniff"
    assert kept.headers["content-encoding"] == "gzip"
    assert page.request.get("/assets/nothing.js").status == 404
    assert page.request.get("/assets/..%2findex.html").status == 404


def test_more_tabs_than_a_browser_has_connections_are_all_live(site: Site, visitors: Visitors) -> None:
    context = visitors.context("reader")
    tabs = [context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto("/")
        expect(tab.locator(".pipeline")).to_have_count(len(ALL))
    job = site.trigger("website")
    for tab in tabs:
        expect(tab.locator(f"a[href='/jobs/{job}']").first).to_be_attached()
    site.end_of(job)


def test_a_badge_exists_where_the_pipeline_enables_it(visitors: Visitors, jobs: dict[str, str]) -> None:
    visitor = visitors.page("")
    badge = visitor.request.get("/badges/website.svg")
    assert badge.headers["content-type"] == "image/svg+xml"
    assert "website: passing" in badge.text()
    refused = [visitor.request.get(f"/badges/{name}.svg") for name in ("broken", "nothing-of-the-kind")]
    assert [answer.status for answer in refused] == [404, 404]


def test_a_chosen_theme_is_remembered(visitors: Visitors) -> None:
    page = visitors.page("reader", "/")
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
