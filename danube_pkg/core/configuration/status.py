"""The status of the configuration sync."""

from danube_pkg.core.errors import Invalid, PlatformError
from danube_pkg.kit.records import Record


class ConfigurationStatus(Record):
    """The applied revision, the revision that was read last, and what is wrong with it.

    read_at: when it could be read last. problem: why the configuration could not be read. findings: what is wrong in
    it. Times are Unix seconds.
    """

    applied_revision: str = ""
    applied_at: float | None = None
    seen_revision: str = ""
    checked_at: float | None = None
    read_at: float | None = None
    findings: tuple[Invalid, ...] = ()
    problem: PlatformError | None = None

    @property
    def ok(self) -> bool:
        """Whether the revision that was read last is applied."""
        return self.problem is None and not self.findings and bool(self.applied_revision)
