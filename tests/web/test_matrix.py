"""One walk through the page for each role: permitted actions are shown and work, others are absent and refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.web.site import PASSWORD, Site

pytestmark = pytest.mark.long


@dataclass(frozen=True, slots=True)
class Person:
    """A user. write: on the pipelines; everything: an administrator of the server."""

    name: str
    write: bool
    everything: bool


PEOPLE = (Person("reader", False, False), Person("writer", True, False), Person("admin", True, True))


@pytest.fixture(scope="module")
def ended(site: Site) -> str:
    job = site.trigger("website")
    site.end_of(job)
    return job


@pytest.fixture
def ticking(site: Site) -> Iterator[str]:
    job = site.trigger("ticking")
    site.wait_for_log(job, "tick 1")
    yield job
    site.command("cancel", job, check=False)
    site.end_of(job)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda one: one.name)
def test_permitted_actions_are_shown_and_work_and_others_are_refused(
    site: Site, visitors: Visitors, person: Person, ended: str, ticking: str
) -> None:
    page = visitors.page("", f"/jobs/{ticking}")
    page.get_by_label("E-mail address").fill(f"{person.name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".job-status")).to_have_text("running")
    expect(page.locator(".log-row", has_text=re.compile(r"tick \d+"))).not_to_have_count(0)
    _shows(page, "Cancel job", person.write)

    page.goto(f"/jobs/{ended}")
    expect(page.locator(".job-status")).to_have_text("succeeded")
    _shows(page, "Rerun job", person.write)
    expect(page.get_by_role("heading", name="Log and artifacts")).to_be_visible()
    _shows(page, "Keep files", person.write)
    page.goto("/pipelines/website")
    expect(page.locator(".run").first).to_be_visible()
    _shows(page, "Start run", person.write)
    page.goto("/queue")
    expect(page.locator(".run", has_text="ticking")).to_be_visible()
    _shows(page, "Drain server", person.everything)
    for place in ("Audit", "Configuration"):
        expect(page.get_by_role("link", name=place)).to_have_count(1 if person.everything else 0)
    expect(page.get_by_role("link", name="Secrets")).to_have_count(1 if person.write else 0)
    page.goto("/secrets?pipeline=deploy")
    expect(page.get_by_role("row", name="DEPLOY_TOKEN") if person.write else page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="Set a secret")).to_have_count(1 if person.everything else 0)

    assert _refused(page, ended) == _expected(person)
    if person.write:
        page.goto(f"/jobs/{ticking}")
        page.get_by_role("button", name="Cancel job").click()
        expect(page.locator(".job-status")).to_have_text("cancelled", timeout=30_000)
        page.get_by_role("button", name="Rerun job").click()
        expect(page.get_by_text(f"Rerun by {person.name}@example.com")).to_be_visible()
        again = page.url.rpartition("/")[2]
        page.get_by_role("button", name="Cancel job").click()
        expect(page.locator(".job-status")).to_have_text("cancelled", timeout=30_000)
        site.end_of(again)


def _shows(page: Page, button: str, shown: bool) -> None:
    expect(page.get_by_role("button", name=button, exact=True)).to_have_count(1 if shown else 0)


READ_ONLY = {"cancel", "rerun", "keep", "start"}
SECRETS = {"set a secret", "remove a secret", "set a global secret"}
SERVER = {"drain", "resume", "configuration", "sync", "system", "audit"}


def _expected(person: Person) -> set[str]:
    return (set() if person.write else READ_ONLY) | (set() if person.everything else SECRETS | SERVER)


def _refused(page: Page, job: str) -> set[str]:
    """The actions that the server refuses when they are requested without the page's buttons. A drain is resumed at
    once."""
    headers = {"x-csrf-token": page.request.get("/api/v1/me").json()["csrf_token"]}
    ask = page.request
    answers = {
        "cancel": ask.post(f"/api/v1/jobs/{job}/cancel", headers=headers),
        "rerun": ask.post(f"/api/v1/jobs/{job}/rerun", headers=headers),
        "keep": ask.delete(f"/api/v1/jobs/{job}/keep", headers=headers),
        "start": ask.post("/api/v1/pipelines/website/jobs", data={}, headers=headers),
        "set a secret": ask.put("/api/v1/pipelines/broken/secrets/X", data=b"a value", headers=headers),
        "remove a secret": ask.delete("/api/v1/pipelines/broken/secrets/X", headers=headers),
        "set a global secret": ask.put("/api/v1/secrets/X", data=b"a value", headers=headers),
        "drain": ask.post("/api/v1/system/drain", headers=headers),
        "resume": ask.post("/api/v1/system/resume", headers=headers),
        "sync": ask.post("/api/v1/config/sync", headers=headers),
        "configuration": ask.get("/api/v1/config"),
        "system": ask.get("/api/v1/system"),
        "audit": ask.get("/api/v1/audit"),
    }
    assert {answer.status for answer in answers.values()} <= {200, 201, 202, 204, 403, 409}
    return {name for name, answer in answers.items() if answer.status == 403}
