"""The buttons of a job that waits for approval of an environment: who may decide has them, others see the reason."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.web.site import Site

pytestmark = pytest.mark.long

RELEASE = """
from danube import approval, pipeline, step

@pipeline(name="release")
def release():
    step.run("echo built", name="Build")
    approval("production")
    step.run("echo deployed to production", name="Deploy")
"""
APPROVERS = ["writers", "owner@example.com"]


@pytest.fixture
def release(site: Site) -> Iterator[None]:
    """Its approvers are a team and a user."""
    site.pipeline("release", RELEASE, environments={"production": {"approvers": APPROVERS}})
    site.sync()
    yield
    (site.config / "pipelines" / "release.yaml").unlink()
    site.sync()


def started_by(visitors: Visitors, name: str) -> tuple[Page, str]:
    """The page of a job that this user has started and that waits, and its path."""
    page = visitors.page(name, "/pipelines/release")
    page.get_by_role("button", name="Start run").click()
    page.get_by_role("dialog").get_by_role("button", name="Start run").click()
    expect(page.get_by_role("button", name="Approve production")).to_be_visible(timeout=60_000)
    return page, "/" + page.url.split("/", 3)[3]


def expect_refused(page: Page, reason: str) -> None:
    """The button is disabled, and the reason is seen and named by it."""
    button = page.get_by_role("button", name="Approve production")
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", reason)
    expect(page.locator(".job-explanation")).to_contain_text(reason)


def test_an_approver_who_has_not_started_the_job_approves_or_rejects_it(
    site: Site, visitors: Visitors, release: None
) -> None:
    starter, path = started_by(visitors, "writer")
    expect_refused(starter, "writer@example.com may not approve production: the same user has started the job")
    expect(starter.get_by_role("button", name="Reject production")).to_be_enabled()
    reader = visitors.page("reader", path)
    other = "reader@example.com may not decide about production: its approvers are writers, owner@example.com"
    expect_refused(reader, other)
    expect(reader.get_by_role("button", name="Reject production")).to_be_disabled()

    approver = visitors.page("owner", path)
    expect(approver.locator(".job-explanation")).not_to_contain_text("may not")
    approver.get_by_role("button", name="Approve production").click()
    for page in (starter, reader, approver):
        expect(page.locator(".job-status")).to_have_text("succeeded", timeout=60_000)
        expect(page.get_by_role("button", name="Approve production")).to_have_count(0)
        expect(page.locator(".job-explanation")).to_contain_text("approved by owner@example.com")
        expect(page.locator(".job-explanation")).not_to_contain_text("may not")
    expect(approver.locator(".log-row", has_text="deployed to production").last).to_be_visible()

    starter, path = started_by(visitors, "owner")
    approver = visitors.page("writer", path)
    approver.get_by_role("button", name="Reject production").click()
    approver.get_by_role("dialog").get_by_role("button", name="Yes").click()
    for page in (starter, approver):
        expect(page.locator(".job-status")).to_have_text("failed", timeout=60_000)
        expect(page.locator(".job-explanation")).to_contain_text("rejected by writer@example.com")
    job = path.rpartition("/")[2]
    assert "deployed" not in site.command("logs", job).stdout
