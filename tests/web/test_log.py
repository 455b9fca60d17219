"""The log viewer in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.web.site import Site

pytestmark = pytest.mark.long

ROWS = ".log-row"


@pytest.fixture(scope="module")
def million(site: Site) -> str:
    """A job with a million lines."""
    job = site.trigger("million")
    assert site.end_of(job, 120)["status"] == "success"
    return job


@pytest.fixture(scope="module")
def website(site: Site) -> str:
    """A job with colours, a progress bar and two parallel steps."""
    job = site.trigger("website")
    assert site.end_of(job)["status"] == "success"
    return job


def last_line_shown(page: Page) -> int:
    return int(page.locator(ROWS).last.get_attribute("data-line") or 0)


def test_a_million_lines_scroll_with_few_rows_in_the_document(site: Site, visitors: Visitors, million: str) -> None:
    page = visitors.page("reader", f"/jobs/{million}")
    expect(page.locator(ROWS).first).to_contain_text("step 1")
    page.locator(".log-scroller").hover()
    for _ in range(60):
        page.mouse.wheel(0, 700)
    expect(page.locator(ROWS).first).not_to_contain_text("step 1")
    for fraction in (0.3, 0.9, 0.1, 0.5):
        page.evaluate(
            "f => { const e = document.querySelector('.log-scroller'); e.scrollTop = f * e.scrollHeight }", fraction
        )
        page.wait_for_function(
            "f => Math.abs(document.querySelector('.log-row').dataset.line / 1e6 - f) < 0.02"
            " && !document.querySelector('.log-row.is-missing')",
            arg=fraction,
        )
        assert page.locator(ROWS).count() < 120
    middle = int(page.locator(ROWS).first.get_attribute("data-line") or 0)
    expect(page.locator(ROWS).first).to_contain_text(f"line {middle - 1} of a very long log")
    page.keyboard.press("Shift+G")
    expect(page.locator(ROWS).last).to_contain_text("job success")
    page.keyboard.press("g")
    expect(page.locator(ROWS).first).to_contain_text("step 1")
    assert page.locator(ROWS).count() < 120


def test_a_link_to_lines_shows_and_copies_them(site: Site, visitors: Visitors, million: str) -> None:
    page = visitors.page("reader", f"/jobs/{million}#L700001-L700003")
    expect(page.locator(".log-row.is-selected")).to_have_count(3)
    expect(page.locator(".log-row.is-selected").first).to_contain_text("line 700000 of a very long log")
    page.get_by_role("button", name="Copy 3 lines").click()
    expect(page.get_by_text("copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "".join(f"line {n} of a very long log\n" for n in (700000, 700001, 700002))
    page.locator("[data-number='700005']").click(modifiers=["Shift"])
    expect(page.locator(".log-row.is-selected")).to_have_count(5)
    assert page.url.endswith("#L700001-L700005")


def test_the_whole_log_is_searched_and_matches_are_stepped_through(
    site: Site, visitors: Visitors, million: str
) -> None:
    page = visitors.page("reader", f"/jobs/{million}")
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("LINE 99999")
    expect(page.locator(".log-status").first).to_have_text("1 of 11")
    expect(page.locator(".log-row.is-current")).to_contain_text("line 99999 of")
    expect(page.locator(".log-row.is-current .is-match")).to_have_text("line 99999")
    page.keyboard.press("Enter")
    expect(page.locator(".log-row.is-current")).to_contain_text("line 999990 of")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+N")
    expect(page.locator(".log-status").first).to_have_text("1 of 11")
    drawn = page.evaluate(
        "() => { const c = document.querySelector('.log-marks');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0) }"
    )
    assert drawn


def test_a_progress_bar_is_one_line_and_colours_are_rendered(site: Site, visitors: Visitors, website: str) -> None:
    page = visitors.page("reader", f"/jobs/{website}")
    expect(page.locator(ROWS, has_text="downloading")).to_have_text("downloading 100 %")
    expect(page.locator(".ansi-green-fg")).to_have_text("done")
    expect(page.locator(".ansi-bold")).to_have_text("Installing")


def test_copied_text_has_no_line_numbers(site: Site, visitors: Visitors, website: str) -> None:
    page = visitors.page("reader", f"/jobs/{website}")
    expect(page.locator(ROWS, has_text="downloading")).to_be_visible()
    selected = page.evaluate(
        "() => { const rows = document.querySelectorAll('.log-row'); const range = document.createRange();"
        " range.setStartBefore(rows[1]); range.setEndAfter(rows[3]); const s = getSelection(); s.removeAllRanges();"
        " s.addRange(range); return s.toString() }"
    )
    lines = [line for line in selected.split("\n") if line.strip()]
    assert lines == ["Installing 214 packages", "downloading 100 %", "done in 1.2 s"]


def test_steps_fold_and_a_single_step_can_be_shown(site: Site, visitors: Visitors, website: str) -> None:
    page = visitors.page("reader", f"/jobs/{website}")
    page.get_by_role("button", name="Fold step 1").click()
    expect(page.locator(ROWS, has_text="downloading")).to_have_count(0)
    expect(page.locator(ROWS).first).to_contain_text('step 1 "Install"')
    page.get_by_role("button", name="Unfold step 1").click()
    expect(page.locator(ROWS, has_text="downloading")).to_have_count(1)
    page.get_by_role("button", name="Fold", exact=True).click()
    expect(page.locator(ROWS)).not_to_contain_text(["downloading"])
    page.get_by_role("button", name="Show only the output of Unit tests").click()
    expect(page).to_have_url(re.compile(r"step=3"))
    expect(page.locator(ROWS).first).to_contain_text("PASS tests/case_1.test.ts")
    page.keyboard.press("Shift+G")
    expect(page.locator(ROWS).last).to_contain_text("2 tests are slow")
    page.get_by_role("button", name="only Unit tests").click()
    expect(page.locator(ROWS).first).to_contain_text('step 1 "Install"')


def test_wrap_and_times_are_remembered(site: Site, visitors: Visitors, website: str) -> None:
    page = visitors.page("reader", f"/jobs/{website}")
    expect(page.locator(ROWS).first).to_be_visible()
    page.keyboard.press("w")
    page.keyboard.press("t")
    expect(page.locator(".log-scroller")).to_have_class(re.compile("is-wrapped"))
    expect(page.locator(".log-time").first).to_have_attribute("data-time", re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    page.reload()
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Times")).to_have_attribute("aria-pressed", "true")


def test_a_failed_job_opens_at_the_failure(site: Site, visitors: Visitors) -> None:
    job = site.trigger("broken")
    site.end_of(job)
    page = visitors.page("reader", f"/jobs/{job}")
    expect(page.locator(ROWS, has_text="FAILED test_refund")).to_be_visible()
    expect(page.locator(".job-sentence")).to_contain_text("step 2 'Tests' failed with exit code 3")
    assert page.title().startswith("✗ broken")


def test_the_end_is_followed_until_the_user_scrolls_up(site: Site, visitors: Visitors) -> None:
    job = site.trigger("ticking")
    page = visitors.page("writer", f"/jobs/{job}")
    expect(page.locator(ROWS, has_text=re.compile(r"tick \d{3}"))).not_to_have_count(0, timeout=30_000)
    before = last_line_shown(page)
    page.wait_for_function(f"() => +[...document.querySelectorAll('.log-row')].at(-1).dataset.line > {before + 20}")
    assert page.title().startswith("● ticking")

    page.locator(".log-scroller").hover()
    page.mouse.wheel(0, -300)
    follow = page.get_by_role("button", name=re.compile("follow", re.IGNORECASE))
    expect(follow).to_contain_text("new line")
    stays = page.locator(ROWS).first.get_attribute("data-line")
    page.wait_for_function("() => parseInt(document.querySelector('.log-follow').innerText) > 30")
    assert page.locator(ROWS).first.get_attribute("data-line") == stays

    follow.click()
    before = last_line_shown(page)
    page.wait_for_function(f"() => +[...document.querySelectorAll('.log-row')].at(-1).dataset.line > {before + 20}")
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".job-status")).to_have_text("cancelled", timeout=30_000)
    expect(page.locator(ROWS).last).to_contain_text("job cancelled")


def test_a_lost_connection_is_reported_and_no_line_is_lost_or_doubled(site: Site, visitors: Visitors) -> None:
    job = site.trigger("ticking")
    page = visitors.page("writer", f"/jobs/{job}")
    expect(page.locator(ROWS, has_text=re.compile(r"tick \d{2}"))).not_to_have_count(0, timeout=30_000)
    site.kill()
    expect(page.locator(".job-sentence")).to_contain_text("Connection lost")
    expect(page.get_by_role("button", name="Connection lost")).to_be_visible()
    site.serve()
    expect(page.locator(".job-sentence")).not_to_contain_text("Connection lost", timeout=30_000)
    reached = last_line_shown(page)
    page.wait_for_function(f"() => +[...document.querySelectorAll('.log-row')].at(-1).dataset.line > {reached + 30}")
    site.command("cancel", job)
    site.end_of(job)
    expect(page.locator(".job-status")).to_have_text("cancelled", timeout=30_000)
    expect(page.locator(ROWS).last).to_contain_text("job cancelled")
    whole = site.log(job).splitlines()
    total = last_line_shown(page)
    assert total == len(whole)
    for number in range(1, total, 25):
        page.evaluate(f"location.hash = 'L{number}'")
        row = page.locator(f"[data-line='{number}']")
        expect(row).to_have_text(whole[number - 1])
