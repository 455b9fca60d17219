"""Secrets of the job: read when they are used, and masked in the log from then on."""

from danube._errors import DanubeError
from danube._session import current
from danube._texts import check_texts


def get(key: str, default: str | None = None) -> str:
    """The value of a secret: the pipeline's own, else the one for all pipelines.

    default: returned where the secret is not set.

    Pass the value to a step through `env=`, not in the command. Raises DanubeError where it is not set and there is no
    `default`, and where it is not UTF-8 text (`get_bytes` returns any value).
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
    """The value as it was stored, which need not be text. Raises DanubeError where it is not set."""
    session = current()
    check_texts("secret-invalid", {"the name of a secret": key})
    return session.read_secret(session.next_sequence("secret"), key)
