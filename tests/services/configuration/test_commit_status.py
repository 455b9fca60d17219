"""The configuration's commit status, and that a restored server reports none."""

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.repositories.forges import CommitStatus
from danube_pkg.services.configuration.commit_status import ConfigurationStatusReporter


class Published:
    """`core.repositories.ports.CommitStatuses` that keeps what it gets."""

    def __init__(self) -> None:
        self.commits: list[str] = []

    async def publish(self, repository: str, commit_sha: str, status: CommitStatus) -> None:
        self.commits.append(commit_sha)


async def test_a_restored_server_reports_a_revision_once_it_is_resumed() -> None:
    silent, published = [True], Published()

    async def is_silent() -> bool:
        return silent[-1]

    reporter = ConfigurationStatusReporter(published, is_silent=is_silent)
    status = ConfigurationStatus(seen_revision="c0ffee", applied_revision="c0ffee")
    await reporter.report("repository", status)
    assert published.commits == []
    silent.append(False)
    for _ in range(2):
        await reporter.report("repository", status)
    assert published.commits == ["c0ffee"]
