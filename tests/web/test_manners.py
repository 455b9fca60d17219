"""The page's behaviour in use: transferred bytes, layout shifts, requests, loading messages, tab title, downloads."""

import re
import time

import pytest
from playwright.sync_api import Route, expect

from tests.support.browser import Visitors
from tests.web.site import Site

pytestmark = pytest.mark.long

MOST_BYTES = 150_000
MOST_SHIFT = 0.02
"""Cumulative layout shift; 0 for a page on which nothing moves."""

COST = """() => new Promise(done => {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  let shift = 0;
  new PerformanceObserver(list => list.getEntries().forEach(one => { shift += one.value }))
    .observe({type: 'layout-shift', buffered: true});
  const paint = performance.getEntriesByName('first-contentful-paint')[0].startTime;
  setTimeout(() => done({bytes: all.reduce((sum, one) => sum + one.transferSize, 0), shift, paint}), 300);
})"""


@pytest.fixture(scope="module")
def ended(site: Site) -> str:
    made = [site.trigger("website") for _ in range(2)]
    for job in made:
        site.end_of(job)
    return made[-1]


def test_the_first_page_is_small_and_has_no_layout_shifts(visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader", "/")
    expect(page.locator(".pipeline").first).to_be_visible()
    cost = page.evaluate(COST)
    assert 10_000 < cost["bytes"] < MOST_BYTES
    assert cost["paint"] > 0
    assert cost["shift"] < MOST_SHIFT
    for path, there in (("/pipelines/website", ".outline li"), (f"/jobs/{ended}", ".log-row"), ("/queue", ".empty")):
        page.goto(path)
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate(COST)["shift"] < MOST_SHIFT, path


def test_nothing_is_polled(visitors: Visitors, ended: str) -> None:
    """Hours pass on the page's clock. Requests of the first hour are ignored: they may belong to the loading of the
    page."""
    page = visitors.page("admin")
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path, there in (("/", ".pipeline"), ("/queue", ".facts"), (f"/jobs/{ended}", ".log-row")):
        page.goto(path)
        expect(page.locator(there).first).to_be_visible()
        page.clock.fast_forward("01:00:00")
        expect(page.locator("time").first).to_have_text(re.compile(r"1h ago|6\dmin ago"))
        asked.clear()
        page.clock.fast_forward("02:00:00")
        expect(page.locator("time").first).to_have_text(re.compile("3h ago"))
        assert [url for url in asked if not url.endswith("/events")] == [], path
        page.clock.set_system_time(time.time())


def test_a_loading_message_appears_only_after_a_delay(visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader")
    held: list[Route] = []
    page.route("**/api/v1/pipelines/website", lambda route: held.append(route))
    page.add_init_script(
        "window.shown = []; new MutationObserver(() => { if (document.querySelector('.loading')) shown.push(performance.now()) })"
        ".observe(document, {subtree: true, childList: true})"
    )
    page.goto("/pipelines/website")
    expect(page.locator(".loading").first).to_be_visible()
    for route in held:
        route.continue_()
    expect(page.locator(".outline li").first).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    begun = page.evaluate(
        "Math.max(...performance.getEntriesByType('resource').filter(one => one.name.endsWith('/pipelines/website')).map(one => one.startTime))"
    )
    assert page.evaluate("Math.min(...shown)") - begun >= 190, "no sooner than after a fifth of a second"


def test_tab_and_times_show_the_state_of_a_job(site: Site, visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader", f"/jobs/{ended}")
    expect(page).to_have_title("✓ website main · Danube")
    assert "1a7f37" in (page.locator("#favicon").get_attribute("href") or "")
    expect(page.locator(".job-facts time")).to_have_attribute(
        "title", re.compile(r"\d{1,2} \w{3} \d{4}.* \d\d:\d\d:\d\d")
    )
    page.goto("/queue")
    expect(page.locator(".empty .command").first).to_have_text("danube trigger PIPELINE")
    assert page.locator("#favicon").get_attribute("href") == "/favicon.svg"


def test_parallel_steps_overlap_in_the_timeline(visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader", f"/jobs/{ended}")
    expect(page.locator(".step-bar")).to_have_count(4)
    boxes = [bar.bounding_box() for bar in page.locator(".step-bar").all()]
    assert all(box is not None for box in boxes)
    install, lint, units, build = [(box["x"], box["x"] + box["width"]) for box in boxes if box is not None]
    assert lint[0] < units[1]
    assert units[0] < lint[1]
    assert install[0] < lint[0]
    assert max(lint[1], units[1]) <= build[0] + 3


def test_artifacts_and_logs_are_downloaded_as_they_are(site: Site, visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader", f"/jobs/{ended}")
    with page.expect_download() as download:
        page.get_by_role("link", name="site", exact=True).click()
    assert download.value.suggested_filename == "site.tar.gz"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the log").click()
    assert download.value.path().read_bytes().decode() == site.log(ended)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Raw").click(modifiers=["Control"])
    raw = page.request.get(f"/api/v1/jobs/{ended}/log")
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.text() == site.log(ended)
    opened.value.close()


def test_a_pipeline_shows_its_statistics_and_permissions(visitors: Visitors, ended: str) -> None:
    page = visitors.page("reader", "/pipelines/website")
    expect(page.locator(".figures div", has_text="success rate")).to_contain_text("100 %")
    expect(page.locator(".chart-box canvas")).to_be_visible()
    levels = page.locator(".facts", has_text="readers")
    expect(levels).to_contain_text("readersread")
    expect(levels).to_contain_text("writerswrite")
    expect(levels).to_contain_text("coreadmin")
