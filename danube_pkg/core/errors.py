"""Every error that Danube reports, as one tree. The command line, the API and the log render the same object.

    PlatformError                          what failed, why, and what fixes it (status 500)
    ├── Permanent                          a retry changes nothing until the cause is fixed (422)
    │   ├── Invalid                        the input is wrong; has a place in a file where there is one (400)
    │   │   ├── ConfigurationInvalid       all findings in a configuration, each with its place
    │   │   ├── core.triggers.ParamsInvalid          all findings in the parameters of a start
    │   │   └── edges.http.server.InputInvalid       all findings in a request
    │   ├── Unauthenticated                no credentials, or wrong ones (401)
    │   │   └── core.identity.LoginRefused           an issuer's response failed a check
    │   ├── Forbidden                      the caller may not do it (403)
    │   ├── NotFound                       it does not exist, or the caller may not see it (404)
    │   ├── Conflict                       the object's state does not allow the request (409)
    │   ├── TooLarge                       over a limit (413)
    │   ├── HostLacks                      this machine lacks something; the hint is the command that installs it (503)
    │   ├── core.identity.IssuerUnusable   an issuer's discovery document is not usable (502)
    │   ├── core.images.ImageUnavailable   an image cannot be pulled
    │   └── those of the HTTP server       method not allowed, key reused, too many tries
    ├── Retryable                          the same call may succeed later (503)
    │   ├── Unavailable                    a component is not reachable
    │   │   ├── Throttled                  it is rate-limiting; says when to try again (429)
    │   │   └── cli.NoServer, AnswerLost, AnswerLate    refused, broken before the response, no response in time
    │   └── StorageUnwritable              nothing can be written; nothing was lost, the writer waits (507)
    │       ├── StorageFull                no space on disk
    │       └── StorageFailing             the disk is read-only, broken or gone
    └── Defect                             Danube broke one of its own rules; never the user's fault (500)
        └── IllegalEvent, ProtocolViolation, InauthenticRecord

Retryable and permanent are types, not flags. An exception of a third party is translated where it enters, `raise …
from`.
"""

from danube_pkg.kit.records import Record


class SourceLocation(Record):
    """A place in a user's file. line: counts from 1; 0 means the whole file."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class PlatformError(Exception):
    """What failed, why, and what fixes it.

    reference: stable kebab-case name that documentation and scripts can rely on.
    what: one sentence: what was refused or what failed.
    cause: why, where `what` does not already say it.
    hint: the command or the change that fixes it.
    place: where in a user's file, if it is about a file.
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
    """A retry changes nothing until the cause is fixed."""

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
    """The request has no credentials, or wrong ones."""

    status = 401


class Forbidden(Permanent):
    """The caller may not do it."""

    status = 403


class NotFound(Permanent):
    """It does not exist, or the caller may not see it."""

    status = 404


class Conflict(Permanent):
    """The object is in a state that does not allow the request."""

    status = 409


class TooLarge(Permanent):
    """The input is over a limit."""

    status = 413


class HostLacks(Permanent):
    """This machine lacks something; the hint is the command that installs it."""

    status = 503


class Retryable(PlatformError):
    """The same call may succeed later."""

    status = 503


class Unavailable(Retryable):
    """A component is not reachable."""


class Throttled(Unavailable):
    """The other side is rate-limiting; it accepts requests again after `retry_seconds`."""

    status = 429

    def __init__(self, reference: str, what: str, *, retry_seconds: float, cause: str = "", hint: str = "") -> None:
        super().__init__(reference, what, cause=cause, hint=hint)
        self.retry_seconds = retry_seconds


class StorageUnwritable(Retryable):
    """Nothing can be written. Nothing was lost: the writer waits until it can write."""

    status = 507


class StorageFull(StorageUnwritable):
    """No space on disk."""


class StorageFailing(StorageUnwritable):
    """The disk is read-only, broken or gone, whatever room it has."""


class Defect(PlatformError):
    """Danube broke one of its own rules."""
