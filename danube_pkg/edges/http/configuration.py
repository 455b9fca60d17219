"""The configuration repository as the server sees it, and a look at it now."""

from dataclasses import dataclass

from danube_pkg.core.errors import DanubeError, NotFound
from danube_pkg.edges.http.messages import Request
from danube_pkg.edges.http.models import Time, iso_or_none
from danube_pkg.edges.http.resource import Resource, answers
from danube_pkg.services.configuration import Configuration, ConfigurationStatus


@dataclass(frozen=True, slots=True)
class FindingView:
    """One mistake: `place` is file:line."""

    place: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class ConfigurationView:
    """Which revision is in force, which was seen last, and what is wrong with that one. `problem`: why it could not be
    read at all, null where it could."""

    ok: bool
    applied_revision: str
    applied_at: Time | None
    seen_revision: str
    checked_at: Time | None
    problem: FindingView | None
    findings: tuple[FindingView, ...]


class ConfigurationState(Resource):
    """`/api/v1/config`."""

    @answers(200, refuses=(404,))
    async def GET(self, request: Request) -> ConfigurationView:
        """The state of the configuration."""
        return _view(self.configuration().status)

    def configuration(self) -> Configuration:
        if self.services.configuration is None:
            raise NotFound("no-configuration", "this server was started without a configuration repository")
        return self.services.configuration


class ConfigurationSync(ConfigurationState):
    """`/api/v1/config/sync`."""

    @answers(200, refuses=(404,))
    async def POST(self, request: Request) -> ConfigurationView:
        """Look at the repository now. Mistakes are in the answer; the last good configuration stays in force."""
        return _view(await self.configuration().sync())


def _view(status: ConfigurationStatus) -> ConfigurationView:
    return ConfigurationView(
        ok=status.ok,
        applied_revision=status.applied_revision,
        applied_at=iso_or_none(status.applied_at),
        seen_revision=status.seen_revision,
        checked_at=iso_or_none(status.checked_at),
        problem=_finding(status.problem) if status.problem else None,
        findings=tuple(map(_finding, status.findings)),
    )


def _finding(error: DanubeError) -> FindingView:
    return FindingView(str(error.place or ""), error.what + (f": {error.cause}" if error.cause else ""), error.hint)
