"""Secrets of the job: read on use, masked in the log from then on, kept nowhere."""

from danube._errors import DanubeError
from danube._session import current


def get(key: str, default: str | None = None) -> str:
    """The value of a secret: the pipeline's own, else the one for all pipelines.

    Pass it on through `env=`, not in the command. Raises DanubeError where it is not set and there is no `default`, and
    where it is not text (`get_bytes` gives any value).
    """
    try:
        return get_bytes(key).decode()
    except UnicodeDecodeError:
        raise DanubeError("secret-not-text", f"the secret {key!r} is not text", hint="use secrets.get_bytes") from None
    except DanubeError as error:
        if default is None or error.reference != "secret-not-set":
            raise
        return default


def get_bytes(key: str) -> bytes:
    """The value as it was stored."""
    session = current()
    return session.read_secret(session.next_sequence("secret"), key)
