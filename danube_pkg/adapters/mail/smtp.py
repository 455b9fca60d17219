"""Sends mail by SMTP submission (RFC 6409), with the standard library in a thread.

Without TLS, mail is sent only to a server on this machine, and without a login. smtplib is imported with the first
message, since it takes two megabytes that most servers do not need.
"""

import asyncio
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING

from danube_pkg.core.configuration.config import SmtpSpec
from danube_pkg.core.errors import Permanent, Unauthenticated, Unavailable

if TYPE_CHECKING:
    import smtplib

TIMEOUT_SECONDS = 20.0
"""Timeout for each response of the server."""

DEFAULT_PORT = 587

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SmtpMail:
    """`core.notifications.ports.Mail`. Each message has its own connection, since mails are rare.

    trust: replaces the default TLS settings, for tests and private certificate authorities.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust

    async def send(self, server: SmtpSpec, password: str, message: EmailMessage) -> None:
        await asyncio.to_thread(self._send, server, password, message)

    def _send(self, server: SmtpSpec, password: str, message: EmailMessage) -> None:
        import smtplib  # 2 MB, and only mail needs it

        host, port = _address(server.host)
        name = f"the mail server {server.host}"
        if not server.tls and (host not in _LOOPBACK or server.username):
            raise Permanent(
                "mail-in-clear",
                f"smtp.tls is false, and {name} is not on this machine or needs a login",
                hint="remove tls: false",
            )
        try:
            with smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS) as connection:
                if server.tls:
                    connection.starttls(context=self._trust or ssl.create_default_context())
                if server.username:
                    connection.login(server.username, password)
                connection.send_message(message)
        except smtplib.SMTPAuthenticationError as error:
            raise Unauthenticated(
                "mail-refused",
                f"{name} rejected the login",
                cause=_message(error),
                hint=f"set the password again: danube secrets set {server.password_secret}",
            ) from error
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            code, cause = _code(error), _message(error)
            if 500 <= code < 600:
                raise Permanent(
                    "mail-refused", f"{name} rejected the message", cause=cause, hint="check sender and addresses"
                ) from error
            raise Unavailable(
                "mail-unreachable", f"{name} rejected the message temporarily", cause=cause, hint="try again"
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent(
                "mail-refused",
                f"{name} does not support STARTTLS or AUTH",
                cause=str(error),
                hint="smtp.tls needs STARTTLS, a login needs AUTH",
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            cause = str(error) or type(error).__name__
            raise Unavailable(
                "mail-unreachable", f"{name} cannot be reached now", cause=cause, hint="check host and port"
            ) from error


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon else (text, DEFAULT_PORT)


def _code(error: "smtplib.SMTPException") -> int:
    """The highest status code: if one recipient is rejected permanently, the whole message is."""
    import smtplib  # loaded already; see SmtpMail._send

    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


def _message(error: "smtplib.SMTPException") -> str:
    import smtplib  # loaded already; see SmtpMail._send

    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(
            f"{recipient}: {text.decode('utf-8', 'replace')}" for recipient, (_, text) in error.recipients.items()
        )
    text = error.smtp_error if isinstance(error, smtplib.SMTPResponseException) else str(error)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
