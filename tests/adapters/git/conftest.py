"""Real Git servers, and sources that read from them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.git.sources import GitSources
from danube_pkg.core.repositories.revisions import Credential
from tests.adapters.git.remote import TOKEN, Known
from tests.support.git_servers import HttpServer, ServedRepository, SshServer
from tests.support.git_worker import GIT_WORKER


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(scope="session")
def http(served: Path) -> Iterator[HttpServer]:
    with HttpServer(served, lambda user, password: password == TOKEN) as server:
        yield server


@pytest.fixture(scope="session")
def first_app(tmp_path_factory: pytest.TempPathFactory) -> ServedRepository:
    app = ServedRepository(tmp_path_factory.mktemp("first") / "app.git")
    app.commit({"README": "first\n", "large": "x" * 400_000}, "first")
    app.commit({"README": "second\n"}, "second")
    return app


@pytest.fixture
def app(served: Path, first_app: ServedRepository) -> ServedRepository:
    """A repository of the test's own, with two commits."""
    return first_app.copy(served / f"{len(list(served.iterdir()))}" / "app.git")


@pytest.fixture
def known(ssh: SshServer) -> Known:
    return Known(
        {"ssh": Credential("a-key", private_key=ssh.key.read_text()), "http": Credential("a-token", "u", TOKEN)}
    )


@pytest.fixture
def sources(tmp_path: Path, ssh: SshServer, known: Known) -> GitSources:
    return GitSources(tmp_path / "repos", known, known_hosts=[ssh.known_hosts], worker=GIT_WORKER)
