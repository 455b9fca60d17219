"""Logging in: the ways that there are, and a login by device code."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record


class Methods(Record):
    """The ways to log in at this server."""

    password: Annotated[bool, about("With the password of users.yaml.")]
    oidc: Annotated[bool, about("At the OpenID Connect issuer.")]


class DeviceView(Record):
    """A login by device code that was begun (RFC 8628)."""

    handle: Annotated[str, about("What `POST /auth/device/token` needs to finish the login.")]
    user_code: Annotated[str, about("The code that the user types or confirms.")]
    verification_uri: Annotated[str, about("The page that the user opens.")]
    verification_uri_complete: Annotated[str, about("The same page with the code filled in; empty if there is none.")]
    interval_seconds: Annotated[int, about("How long to wait between two tries to finish the login.")]
    expires_in_seconds: Annotated[int, about("How long the code can be used.")]


class Pending(Record):
    """The user has not confirmed the code yet."""

    status: Annotated[str, about("`pending`.")] = "pending"
