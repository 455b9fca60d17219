"""Secrets as files of a directory, as systemd credentials, Kubernetes volumes and configuration tools write them."""

import asyncio
import os
import stat
from pathlib import Path

from danube_pkg.core.errors import Permanent
from danube_pkg.core.secrets.secret import MAX_VALUE_BYTES, SecretName


class SecretFiles:
    """`core.secrets.outside.OutsideSecrets`: DIRECTORY/NAME for all pipelines, DIRECTORY/PIPELINE/NAME for one."""

    audience = ""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, name: SecretName, token: str) -> bytes | None:
        return await asyncio.to_thread(self._read, name)

    def _read(self, name: SecretName) -> bytes | None:
        """Raises Permanent for a file that cannot be read, and for one that all users of the machine can read."""
        path = self._directory / (name.pipeline or "") / name.key
        try:
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                if not stat.S_ISREG(state.st_mode):
                    return None  # a pipeline's directory that has the name of a secret
                if stat.S_IMODE(state.st_mode) & 0o007:
                    raise Permanent(
                        "secret-file-readable",
                        f"the secret {name} is not read from {path}: every user of the machine can read it",
                        hint=f"chmod o= {path}",
                    )
                return file.read(MAX_VALUE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise Permanent(
                "secret-file-unreadable",
                f"the secret {name} cannot be read from {path}",
                cause=error.strerror or str(error),
                hint=f"let the server's user read it: ls -l {path}",
            ) from error
