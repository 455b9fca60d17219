"""A server's real senders, with forges and receivers that a test serves on loopback."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from danube_pkg.adapters.forges.client import HttpForges
from danube_pkg.adapters.mail.smtp import SmtpMail
from danube_pkg.core.configuration.settings import ConfigRepository
from danube_pkg.services.notifications.outbox import Outbox
from danube_pkg.services.notifications.senders import Notifiers
from danube_pkg.services.repositories.commit_statuses import CommitStatusReporter
from danube_pkg.services.repositories.credentials import ConfiguredCredentials
from tests.support.trigger_server import (
    TriggerServer,
    delivering,
    eventually,
    open_trigger_server,
)

EXTERNAL_URL = "https://ci.example.org"


@asynccontextmanager
async def open_sending(path: Path, mail: SmtpMail | None = None) -> AsyncIterator[tuple[TriggerServer, Outbox]]:
    """A server's parts, and its outbox with all real senders."""
    async with AsyncExitStack() as stack:
        danube = await stack.enter_async_context(open_trigger_server(path))
        http = HttpForges()
        stack.push_async_callback(http.close)
        credentials = ConfiguredCredentials(
            danube.applied, ConfigRepository("/nowhere"), danube.secrets, http, danube.clock, str(path / "none")
        )
        statuses = CommitStatusReporter(danube.applied, credentials, http)
        notifiers = Notifiers(
            danube.applied,
            EXTERNAL_URL,
            danube.secrets,
            statuses,
            http,
            mail or SmtpMail(),
            danube.clock,
        )
        outbox = await stack.enter_async_context(delivering(danube, notifiers.senders()))
        yield danube, outbox


async def all_sent(danube: TriggerServer, *, move: float = 0.0) -> None:
    """Wait until the outbox is empty. move: seconds that pass before each check."""

    async def condition() -> bool:
        danube.clock.move(move)
        return not danube.database.read("SELECT 1 FROM outbox WHERE done_at IS NULL")

    await eventually(condition, "the outbox to be empty")


def outcomes(danube: TriggerServer) -> list[str]:
    return [row["outcome"] for row in danube.database.read("SELECT outcome FROM outbox ORDER BY id")]
