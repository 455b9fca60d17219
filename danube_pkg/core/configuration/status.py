"""What became of the last look at the configuration."""

from danube_pkg.core.errors import Invalid, PlatformError
from danube_pkg.kit.records import Record


class ConfigurationStatus(Record):
    """What a person asks: which revision is in force, which was seen last, and what is wrong with that one.

    problem: why the configuration could not be read at all; findings: what is wrong in it. Times are Unix seconds.
    """

    applied_revision: str = ""
    applied_at: float | None = None
    seen_revision: str = ""
    checked_at: float | None = None
    findings: tuple[Invalid, ...] = ()
    problem: PlatformError | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None and not self.findings and bool(self.applied_revision)
