"""The encryption key from outside of the data directory: a systemd credential, or a variable of the server's process.

So that a copy of the directory, or of its disk, cannot be decrypted by itself. The credential is named
`danube-encryption-key` (systemd.exec(5), LoadCredential= and LoadCredentialEncrypted=).
"""

import os
from functools import cache
from pathlib import Path

from danube_pkg.core.errors import Permanent

CREDENTIAL = "danube-encryption-key"
VARIABLE = "DANUBE_ENCRYPTION_KEY"


@cache
def _from_environment() -> str:
    """Taken out of the environment, which programs that this process starts inherit."""
    return os.environ.pop(VARIABLE, "")


def given_key() -> tuple[str, str] | None:
    """The key's text and where it is from; None where the data directory has the key. Raises Permanent for a credential
    that cannot be read."""
    if text := _from_environment():
        return text, f"the variable {VARIABLE}"
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / CREDENTIAL if directory else None
    if path is None or not path.exists():
        return None
    try:
        return path.read_text(), f"the credential {path}"
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(
            "key-unreadable",
            f"the encryption key cannot be read from {path}",
            cause=str(error),
            hint=f"check LoadCredential={CREDENTIAL}:… of the unit: systemctl cat danube",
        ) from error
