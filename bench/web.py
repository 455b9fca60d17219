"""What the page costs its reader: bytes and time until something is shown, and whether it stutters while a log
streams or a long one is scrolled. Debian's Chromium without a window; the server and the jobs share the machine with
it."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.figures import Figure
from build_steps.web import build_page
from danube_pkg.kit.records import replace
from tests.support.browser import Visitors, launch
from tests.web import pipelines
from tests.web.site import PASSWORD, Site

LOADS = 5
STREAM_SECONDS = 8.0
WHEEL_TURNS = 200

SHIFTS = """() => new Promise(done => {
  let sum = 0;
  new PerformanceObserver(list => list.getEntries().forEach(one => { sum += one.value }))
    .observe({type: 'layout-shift', buffered: true});
  setTimeout(() => done(sum), 300);
})"""


def measure() -> list[Figure]:
    """The figures of this suite."""
    build_page()
    with tempfile.TemporaryDirectory(prefix="danube-bench-") as directory, sync_playwright() as playwright:
        site = Site(Path(directory))
        for name in ("website", "million", "stream"):
            site.pipeline(name, pipelines.ALL[name])
        site.serve()
        browser = launch(playwright)
        try:
            return [*_first_page(browser, site), *_stream(browser, site), *_scroll(browser, site)]
        finally:
            browser.close()
            site.close()


def _first_page(browser: Browser, site: Site) -> list[Figure]:
    """The overview in a browser without a cache, five times."""
    site.end_of(site.trigger("website"))
    painted, sizes, shifts = [], [], []
    for _ in range(LOADS):
        visitors = Visitors(browser, site.address, PASSWORD)
        page = visitors.page("writer", "/")
        page.wait_for_selector(".pipeline")
        painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        sizes.append(page.evaluate(_TRANSFERRED) / 1000)
        shifts.append(page.evaluate(SHIFTS))
        visitors.close()
    return [
        Figure("page: first contentful paint", statistics.median(painted), "ms"),
        Figure("page: transferred for the first page", max(sizes), "kB", 150),
        Figure("page: layout shift of the first page", max(shifts), "", 0.02),
    ]


_TRANSFERRED = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((sum, one) => sum + one.transferSize, 0)"""


def _stream(browser: Browser, site: Site) -> list[Figure]:
    """A job that prints 5 000 lines a second, viewed from its first line."""
    job = site.trigger("stream")
    visitors = Visitors(browser, site.address, PASSWORD)
    page = visitors.page("writer", f"/jobs/{job}")
    page.wait_for_function("() => document.querySelectorAll('.log-row').length > 20", timeout=30_000)
    figure = _longest_task(
        "page: longest task, a log that streams", page, lambda: page.wait_for_timeout(STREAM_SECONDS * 1000)
    )
    site.end_of(job, 60)
    visitors.close()
    step = next(step for step in site.job(job)["steps"] if step["name"] == "Print")
    return [replace(figure, note=f"{figure.note}; {40_000 / step['duration_seconds']:.0f} lines/s")]


def _scroll(browser: Browser, site: Site) -> list[Figure]:
    """Scroll through a million lines by wheel, and by dragging the scroll bar."""
    job = site.trigger("million")
    site.end_of(job, 120)
    visitors = Visitors(browser, site.address, PASSWORD)
    page = visitors.page("writer", f"/jobs/{job}")
    page.wait_for_selector(".log-row")
    page.locator(".log-scroller").hover()

    def scroll() -> None:
        for _ in range(WHEEL_TURNS):
            page.mouse.wheel(0, 400)
        for step in range(50):
            page.evaluate(
                "f => { const e = document.querySelector('.log-scroller'); e.scrollTop = f * e.scrollHeight }",
                step / 50,
            )
            page.wait_for_timeout(40)

    figure = _longest_task("page: longest task, scrolling 1 000 000 lines", page, scroll)
    visitors.close()
    return [figure]


def _longest_task(name: str, page: Page, work: Callable[[], None]) -> Figure:
    """By the clock, as the browser's own measure of long tasks is; how much of it the processor was really busy for
    is said beside it, since other programs share the machine."""
    session = page.context.new_cdp_session(page)
    events: list[dict[str, Any]] = []
    done: list[object] = []
    session.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    session.on("Tracing.tracingComplete", lambda part: done.append(part))
    session.send("Tracing.start", {"traceConfig": {"includedCategories": ["toplevel"]}, "transferMode": "ReportEvents"})
    work()
    session.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    threads = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    tasks = [
        one
        for one in events
        if one["name"] == "ThreadControllerImpl::RunTask"
        and one["ph"] == "X"
        and threads.get((one["pid"], one["tid"])) == "CrRendererMain"
    ]
    if not tasks:
        raise RuntimeError("the trace of the browser has no tasks")
    wall, busy = (max(one.get(key, 0) for one in tasks) / 1000 for key in ("dur", "tdur"))
    return Figure(name, wall, "ms", 50, note=f"{busy:.1f} ms of processor time")
