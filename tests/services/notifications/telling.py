"""A yard that really tells: the senders of a server, towards forges and receivers that a test serves on loopback."""

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
from tests.services.triggers.yard import (
    Yard,
    delivering,
    eventually,
    open_yard,
)

EXTERNAL_URL = "https://ci.example.org"


@asynccontextmanager
async def open_telling(path: Path, mail: SmtpMail | None = None) -> AsyncIterator[tuple[Yard, Outbox]]:
    """The yard, and its outbox with every real sender."""
    async with AsyncExitStack() as stack:
        yard = await stack.enter_async_context(open_yard(path))
        http = HttpForges()
        stack.push_async_callback(http.close)
        credentials = ConfiguredCredentials(
            yard.applied, ConfigRepository("/nowhere"), yard.secrets, http, yard.clock, str(path / "none")
        )
        statuses = CommitStatusReporter(yard.applied, credentials, http)
        messengers = Notifiers(
            yard.applied,
            EXTERNAL_URL,
            yard.secrets,
            statuses,
            http,
            mail or SmtpMail(),
            yard.clock,
        )
        outbox = await stack.enter_async_context(delivering(yard, messengers.senders()))
        yield yard, outbox


async def all_told(yard: Yard, *, move: float = 0.0) -> None:
    """Until nothing is owed any more; `move`: so much time goes on at each look."""

    async def condition() -> bool:
        yard.clock.move(move)
        return not yard.database.read("SELECT 1 FROM outbox WHERE done_at IS NULL")

    await eventually(condition, "the outbox to be empty")


def outcomes(yard: Yard) -> list[str]:
    return [row["outcome"] for row in yard.database.read("SELECT outcome FROM outbox ORDER BY id")]
