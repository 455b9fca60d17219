"""One site and one browser for all tests of the page; each test has browsers of its own in it.

They end with this package: while a browser is driven the thread has an event loop, which other tests would stumble
over.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from build_steps.supervisor import build_supervisor
from build_steps.web import build_page
from tests.support.browser import WAIT_MS, Visitors, launch
from tests.support.webhook_deliveries import SECRET
from tests.web import pipelines
from tests.web.site import PASSWORD, Site


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    for name in ("danube-step", "danube-ns"):
        build_supervisor(name)
    build_page()
    made = Site(tmp_path_factory.mktemp("site"))
    pipelines.furnish(made)
    made.serve()
    made.command("secrets", "set", "hook", stdin=SECRET)
    made.command("secrets", "set", "DEPLOY_TOKEN", "--pipeline", "deploy", stdin="a-token-of-the-tests")
    yield made
    made.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def visitors(browser: Browser, site: Site) -> Iterator[Visitors]:
    """Browsers whose script errors and policy violations fail the test."""
    made = Visitors(browser, site.address, PASSWORD)
    yield made
    made.close()
    assert made.errors == []
