"""Every error that Danube tells a person, as one tree; the command line, the API and the log render the same object.

    DanubeError
    ├── Permanent                 trying again changes nothing until somebody mends the cause (422: understood, and not possible)
    │   ├── Invalid               the input is wrong (400, bad usage); carries a place: file, line
    │   │   └── ConfigurationInvalid   many findings at once, each with its place
    │   ├── Forbidden             who asks may not (403); Unauthenticated (401) when nobody was named
    │   ├── NotFound              no such thing, or none that the caller may see (404)
    │   ├── Conflict              the thing is in a state that does not allow it (409)
    │   ├── TooLarge              over a bound (413)
    │   └── HostLacks             the machine lacks something; the hint is the command that mends it
    ├── Retryable                 the same call may succeed later (503)
    │   ├── Unavailable           a component is not reachable now
    │   │   └── Throttled         it asks for a pause, and says how long
    │   └── StorageFull           no room on disk; nothing was lost, the writer waits
    └── Defect                    Danube broke one of its own rules; never the user's fault (500)

Retryable and permanent are types, not flags. A third party's exception is translated where it enters, `raise … from`.
"""

from danube_pkg.kit.records import Record


class SourceLocation(Record):
    """Where in the user's files something stands. `line` counts from 1; 0 means the whole file."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class PlatformError(Exception):
    """What failed, why, and what mends it.

    reference: stable kebab-case name that documentation and scripts can rely on.
    what: one sentence that says what was refused or failed.
    cause: why, where `what` does not say it already.
    hint: the command or the change that mends it.
    """

    status = 500
    findings: "tuple[Invalid, ...]" = ()
    """Every mistake with its place, if the error stands for several."""

    def __init__(
        self, reference: str, what: str, *, cause: str = "", hint: str = "", place: SourceLocation | None = None
    ) -> None:
        super().__init__(what)
        self.reference = reference
        self.what = what
        self.cause = cause
        self.hint = hint
        self.place = place

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        because = f": {self.cause}" if self.cause else ""
        return f"{where}{self.what}{because}"


class Permanent(PlatformError):
    """Trying again changes nothing until somebody mends the cause."""

    status = 422


class Invalid(Permanent):
    """The input is wrong."""

    status = 400


class ConfigurationInvalid(Invalid):
    """Everything that is wrong with a configuration, at once; `findings` is never empty."""

    def __init__(self, findings: "tuple[Invalid, ...]") -> None:
        first = findings[0]
        count = f" ({len(findings)} findings)" if len(findings) > 1 else ""
        super().__init__("configuration-invalid", f"{first}{count}", hint=first.hint, place=None)
        self.findings = findings


class Unauthenticated(Permanent):
    """Nobody was named, or the proof was wrong."""

    status = 401


class Forbidden(Permanent):
    """Who asks may not."""

    status = 403


class NotFound(Permanent):
    """There is no such thing, or none that the caller may see."""

    status = 404


class Conflict(Permanent):
    """The thing is in a state that does not allow the request."""

    status = 409


class TooLarge(Permanent):
    """Over a bound."""

    status = 413


class HostLacks(Permanent):
    """The machine lacks something; the hint is the command that mends it."""

    status = 503


class Retryable(PlatformError):
    """The same call may succeed later."""

    status = 503


class Unavailable(Retryable):
    """A component cannot be reached now."""


class Throttled(Unavailable):
    """Who was asked wants to be left alone for `retry_seconds`."""

    status = 429

    def __init__(self, reference: str, what: str, *, retry_seconds: float, cause: str = "", hint: str = "") -> None:
        super().__init__(reference, what, cause=cause, hint=hint)
        self.retry_seconds = retry_seconds


class StorageFull(Retryable):
    """No room on disk. Nothing was lost: the writer waits until there is room."""

    status = 507


class Defect(PlatformError):
    """Danube broke one of its own rules."""
