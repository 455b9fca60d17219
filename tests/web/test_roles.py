"""Actions that the user may not perform are not shown, and the server refuses them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors, accessibility_findings
from tests.support.git_servers import HttpServer, ServedRepository, git
from tests.support.waiting import wait_until
from tests.support.webhook_deliveries import Sender, github_headers, pull_body, push_body
from tests.web.pipelines import EVIL
from tests.web.site import Site

pytestmark = pytest.mark.long

COMMIT = "c0ffee" + "0" * 34
PROPOSED = """
from danube import ctx, pipeline, step

@pipeline(name="proposals")
def build():
    assert ctx.pull_request["fork"]
    step.run("cat greeting", name="Greet")
"""


def csrf(page: Page) -> dict[str, str]:
    """The CSRF token of the page's session, as a header."""
    return {"x-csrf-token": page.request.get("/api/v1/me").json()["csrf_token"]}


@pytest.fixture(scope="module")
def ended(site: Site) -> str:
    """A finished job."""
    job = site.trigger("website")
    site.end_of(job)
    return job


def test_a_visitor_logs_in_and_returns_to_the_requested_page(visitors: Visitors, ended: str) -> None:
    page = visitors.page("", f"/jobs/{ended}")
    expect(page.get_by_role("heading", name="Log in to Danube")).to_be_visible()
    page.get_by_label("E-mail address").fill("writer@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(rf"/jobs/{ended}$"))
    expect(page.locator(".job-status")).to_have_text("succeeded")
    page.goto("/account")
    page.get_by_role("button", name="Log out", exact=True).click()
    expect(page.get_by_role("heading", name="Log in to Danube")).to_be_visible()


def test_a_link_cannot_redirect_to_another_site_after_the_login(visitors: Visitors) -> None:
    page = visitors.page("writer", "/login?return_to=//evil.example/")
    expect(page.get_by_role("heading", name="Pipelines")).to_be_visible()


def test_a_writer_starts_a_pipeline_with_parameters(site: Site, visitors: Visitors) -> None:
    page = visitors.page("writer", "/pipelines/ticking")
    page.get_by_role("button", name="Start run").click()
    page.get_by_label("Parameters").fill("WHO=me\nWHAT=a=b")
    page.get_by_role("dialog").get_by_role("button", name="Start run").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    job = page.url.rpartition("/")[2]
    assert site.job(job)["trigger"]["params"] == {"WHO": "me", "WHAT": "a=b"}
    expect(page.locator(".job-status")).to_have_text("running")
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".job-status")).to_have_text("cancelled", timeout=30_000)
    expect(page.locator(".job-sentence")).to_contain_text("cancelled by writer@example.com")


def test_a_writer_keeps_the_files_of_a_job(site: Site, visitors: Visitors, ended: str) -> None:
    page = visitors.page("writer", f"/jobs/{ended}")
    page.get_by_role("button", name="Keep files").click()
    expect(page.locator(".job-files")).to_contain_text("Kept by writer@example.com")
    assert site.client.get(f"/api/v1/jobs/{ended}/keep")["kept_by"] == "writer@example.com"
    page.reload()
    page.get_by_role("button", name="Stop keeping files").click()
    expect(page.locator(".job-files")).to_contain_text("Removed when they are due")
    assert site.client.get(f"/api/v1/jobs/{ended}/keep")["kept_by"] == ""


@dataclass(frozen=True, slots=True)
class Proposals:
    """A repository on a real Git server, and pull requests from forks that arrive by the forge's webhook."""

    site: Site
    app: ServedRepository
    url: str

    def propose(self, text: str, action: str = "opened") -> tuple[str, str]:
        """A pull request from a fork, reported by GitHub's webhook. Returns its commit and the id of the waiting
        job."""
        (self.app.work / "greeting").write_text(text)
        git(self.app.work, "commit", "-q", "-a", "-m", EVIL)
        git(self.app.work, "push", "-q", "--force", "origin", "HEAD:refs/pull/7/head")
        sha = git(self.app.work, "rev-parse", "HEAD")
        body = pull_body(self.url, sha, action, title=f"Please {EVIL}")
        headers = github_headers(body, sha, "pull_request")
        assert Sender(self.site.port).post("/hooks/github", body, headers).status == 202

        def waiting() -> list[str]:
            jobs = self.site.client.get("/api/v1/jobs", {"pipeline": "proposals"})["jobs"]
            return [job["id"] for job in jobs if job["trigger"]["commit_sha"] == sha]

        wait_until(waiting, 30, "the job of the proposal")
        return sha, waiting()[0]

    def push(self, text: str) -> None:
        """A push to a branch by a team member, which starts no job."""
        (self.app.work / "greeting").write_text(text)
        git(self.app.work, "commit", "-q", "-a", "-m", text)
        sha = git(self.app.work, "rev-parse", "HEAD")
        body = push_body(self.url, sha, "elsewhere")
        assert Sender(self.site.port).post("/hooks/github", body, github_headers(body, f"p{sha}")).status == 202

        def settled() -> bool:
            newest = self.site.client.get("/api/v1/deliveries", {"limit": 1})["deliveries"]
            return bool(newest) and newest[0]["delivery"] == f"p{sha}" and newest[0]["settled_at"] is not None

        wait_until(settled, 30, "the push to be settled")


@pytest.fixture
def proposals(site: Site) -> Iterator[Proposals]:
    app = ServedRepository(site.path / "served" / "team" / "app.git")
    app.commit({"danubefile.py": PROPOSED, "greeting": "hello from the team"})
    with HttpServer(site.path / "served") as server:
        url = server.url(app)
        site.pipeline("proposals", None, repository=url, triggers=[{"on": "pull_request"}])
        site.sync()
        yield Proposals(site, app, url)
    (site.config / "pipelines" / "proposals.yaml").unlink()
    site.sync()


def test_a_forks_commit_runs_after_an_approval(site: Site, visitors: Visitors, proposals: Proposals) -> None:
    sha, job = proposals.propose("hello from a fork")
    reader = visitors.page("reader", f"/jobs/{job}")
    expect(reader.locator(".job-sentence")).to_contain_text("Waiting for approval of this commit")
    expect(reader.locator(".job-commit")).to_have_text(EVIL)
    expect(reader.locator(".job-facts")).to_contain_text("from contributor/app")
    expect(reader.get_by_role("link", name="#7")).to_have_attribute("href", "https://forge.example.org/team/app/pull/7")
    expect(reader.locator(".job-explanation")).to_contain_text("no user with write access has approved")
    expect(reader.get_by_role("button", name="Approve")).to_have_count(0)
    assert accessibility_findings(reader) == []
    path = f"/api/v1/jobs/{job}/approve"
    refused = reader.request.post(path, data={"commit_sha": sha}, headers=csrf(reader))
    assert (refused.status, site.job(job)["status"]) == (403, "pending")

    writer = visitors.page("writer", f"/jobs/{job}")
    expect(writer.get_by_role("button", name="Approve commit")).to_be_visible()
    another = writer.request.post(path, data={"commit_sha": COMMIT}, headers=csrf(writer))
    assert (another.status, site.job(job)["status"]) == (409, "pending")
    writer.get_by_role("button", name="Approve commit").click()
    expect(writer.get_by_role("button", name="Approve commit")).to_have_count(0)
    for page in (writer, reader):
        expect(page.locator(".job-status")).to_have_text("succeeded", timeout=30_000)
    expect(writer.locator(".log-row", has_text="hello from a fork")).to_be_visible()
    expect(writer.locator(".job-commit")).to_have_text(EVIL)

    _, next_job = proposals.propose("hello again", "synchronize")
    admin = visitors.page("admin", "/queue")
    expect(admin.locator(".run-explanation")).to_contain_text("The job waits for an approval.")
    arrived = admin.locator(".delivery", has_text="pull request 7 from a fork of team/app updated by contributor")
    expect(arrived).to_contain_text("proposals started")
    expect(arrived.get_by_role("link", name="started")).to_have_attribute("href", f"/jobs/{next_job}")
    proposals.push("a branch")
    skipped = admin.locator(".delivery", has_text="push to elsewhere of team/app by alice")
    admin.reload()
    expect(skipped).to_contain_text("proposals not matched")
    admin.goto(f"/jobs/{next_job}")
    admin.get_by_role("button", name="Approve commit").click()
    expect(admin.locator(".job-status")).to_have_text("succeeded", timeout=30_000)
    admin.goto("/audit?action=approve")
    expect(admin.get_by_role("row", name="admin@example.com approve")).to_contain_text(next_job)
    expect(admin.get_by_role("row", name="writer@example.com approve").first).to_contain_text(job)
    assert [page.evaluate("window.evil") for page in (reader, writer, admin)] == [None] * 3


def test_secrets_are_set_and_removed_with_permission_and_never_shown(site: Site, visitors: Visitors) -> None:
    page = visitors.page("owner", "/secrets?pipeline=website")
    page.get_by_label("Name").fill("DEPLOY_TOKEN")
    page.get_by_label("Value").fill("hunter2-hunter2\nsecond line")
    page.get_by_role("button", name="Set secret").click()
    expect(page.get_by_role("row", name="DEPLOY_TOKEN")).to_be_visible()
    assert "hunter2" not in page.content()
    assert site.files_with(b"hunter2-hunter2") == []

    admin = visitors.page("admin", "/secrets")
    expect(admin.get_by_role("row", name="hook")).to_contain_text("the server")
    writer = visitors.page("writer", "/secrets?pipeline=website")
    expect(writer.get_by_role("row", name="DEPLOY_TOKEN")).to_be_visible()
    expect(writer.get_by_role("button", name="Remove")).to_have_count(0)
    expect(writer.get_by_role("heading", name="Set a secret")).to_have_count(0)
    path = "/api/v1/pipelines/website/secrets/DEPLOY_TOKEN"
    assert writer.request.put(path, data=b"x", headers=csrf(writer)).status == 403

    page.get_by_role("row", name="DEPLOY_TOKEN").get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("No secrets are set.")).to_be_visible()


def test_an_administrator_drains_and_resumes(site: Site, visitors: Visitors) -> None:
    page = visitors.page("admin", "/queue")
    parts = ["database", "disk", "pods", "configuration", "webhooks", "schedules", "notifications", "login"]
    parts += ["keys", "clock", "egress"]
    expect(page.locator(".subsystem b")).to_have_text(parts)
    expect(page.locator(".subsystem", has_text="configuration")).to_contain_text("the newest commit is applied")
    page.get_by_role("button", name="Drain server").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("Draining: no new job starts. Started by admin@example.com")).to_be_visible()
    writer = visitors.page("writer", "/pipelines/website")
    writer.get_by_role("button", name="Start run").click()
    writer.get_by_role("dialog").get_by_role("button", name="Start run").click()
    expect(writer.get_by_role("alert")).to_contain_text("admin@example.com is draining it")
    page.get_by_role("button", name="Resume server").click()
    expect(page.get_by_role("button", name="Drain server")).to_be_visible()
    writer.get_by_role("dialog").get_by_role("button", name="Start run").click()
    expect(writer).to_have_url(re.compile("/jobs/"))
    expect(writer.locator(".job-status")).to_have_text("succeeded", timeout=30_000)
    page.goto("/audit")
    expect(page.get_by_role("row", name="admin@example.com drain").first).to_be_visible()


def test_errors_of_a_configuration_commit_are_shown(site: Site, visitors: Visitors) -> None:
    page = visitors.page("admin", "/configuration")
    expect(page.get_by_text("The latest commit is applied.")).to_be_visible()
    broken = site.config / "pipelines" / "mistaken.yaml"
    broken.write_text(
        "apiVersion: danube.dev/v1\nkind: Pipeline\nmetadata: {name: mistaken}\nspec: {repositori: /nowhere}\n"
    )
    before = page.locator(".facts dd code").nth(1).inner_text()
    sha = site.commit("a mistake")
    page.get_by_role("button", name="Sync configuration").click()
    expect(page.get_by_text("the last valid commit stays applied")).to_be_visible()
    expect(page.locator(".finding-location").first).to_contain_text("mistaken.yaml:4")
    expect(page.locator(".findings li").first).to_contain_text("unknown field spec.repositori")
    expect(page.locator(".findings li").first).to_contain_text("did you mean 'repository'?")
    assert accessibility_findings(page) == []
    expect(page.locator(".facts")).to_contain_text(before)
    expect(page.locator(".facts")).to_contain_text(sha)
    broken.unlink()
    site.commit("fixed")
    page.get_by_role("button", name="Sync configuration").click()
    expect(page.get_by_text("the last valid commit stays applied")).to_have_count(0)


def test_tokens_are_shown_once_and_sessions_can_be_ended(visitors: Visitors) -> None:
    page = visitors.page("writer", "/account")
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    token = page.locator(".notice code").inner_text()
    assert token.startswith("dt1_")
    expect(page.get_by_text("laptop", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("laptop", exact=True)).to_be_visible()
    assert token not in page.content()
    page.get_by_role("button", name="Revoke token").first.click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("laptop", exact=True)).to_have_count(0)

    other = visitors.page("writer", "/")
    expect(other.get_by_role("heading", name="Pipelines")).to_be_visible()
    page.reload()
    expect(page.get_by_text("this session")).to_be_visible()
    page.get_by_role("button", name="Log out session").first.click()
    other.goto("/account")
    expect(other.get_by_role("heading", name="Log in to Danube")).to_be_visible()
