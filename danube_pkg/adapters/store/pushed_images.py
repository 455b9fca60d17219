"""The SQL of images that jobs have pushed."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.images.pushed import AttestationStatus, DueImage, PushedImage
from danube_pkg.core.reasons import Status


class SqlitePushedImages:
    """`core.images.pushed.PushedImageStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_pushed(self, image: PushedImage) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO pushed_images (job_id, name, digest, step, pushed_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id, name) DO UPDATE SET digest = excluded.digest, step = excluded.step,"
                " pushed_at = excluded.pushed_at, attestation = 'pending', problem = ''",
                (image.job_id, image.name, image.digest, image.step, image.at),
            )

        await self._database.write(write)

    async def list_pushed(self, job_id: str) -> Sequence[PushedImage]:
        rows = self._database.read(
            "SELECT job_id, name, digest, step, pushed_at, attestation, problem FROM pushed_images"
            " WHERE job_id = ? ORDER BY name",
            job_id,
        )
        return [PushedImage(*(*row[:5], AttestationStatus(row[5]), row[6])) for row in rows]

    async def list_due(self, limit: int) -> Sequence[DueImage]:
        rows = self._database.read(
            "SELECT job_id, name, digest, jobs.status FROM pushed_images JOIN jobs ON jobs.id = job_id"
            " WHERE attestation = 'pending' ORDER BY jobs.finished_at IS NULL, pushed_at LIMIT ?",
            limit,
        )
        return [DueImage(*(*row[:3], Status(row[3]))) for row in rows]

    async def set_attestation(self, job_id: str, name: str, status: AttestationStatus, problem: str) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE pushed_images SET attestation = ?, problem = ? WHERE job_id = ? AND name = ?",
                (status, problem, job_id, name),
            )

        await self._database.write(write)
