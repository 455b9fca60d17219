"""Artifact bytes: `artifacts/<job_id>/<file>`, written beside, fsynced, renamed; a torn upload leaves nothing."""

import errno
import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

from danube_pkg.core.errors import StorageFull, TooLarge
from danube_pkg.kit.files import sync_directory


class ArtifactDirectory:
    """`core.ports.ArtifactFiles`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)

    async def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> tuple[int, str]:
        directory = self._directory / job_id
        directory.mkdir(exist_ok=True, mode=0o750)
        part = directory / f".{file_name}.{os.urandom(6).hex()}.part"
        size, hash_ = 0, sha256()
        try:
            with part.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit_bytes:
                        raise TooLarge(
                            "artifact-too-large",
                            f"{file_name} is larger than {limit_bytes} bytes",
                            hint="upload less, or push it to a registry or an object store",
                        )
                    hash_.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, directory / file_name)
            sync_directory(directory)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise StorageFull("artifact-disk-full", f"there is no room for {file_name}", cause=str(error)) from error
        finally:
            part.unlink(missing_ok=True)
        return size, hash_.hexdigest()

    def open_path(self, job_id: str, file_name: str) -> str:
        return str(self._directory / job_id / file_name)
