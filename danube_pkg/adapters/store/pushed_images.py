"""The SQL of images that jobs have pushed."""

import sqlite3
from collections.abc import Sequence

from danube_pkg.adapters.store.database import Database
from danube_pkg.core.images.pushed import PushedImage


class SqlitePushedImages:
    """`core.images.pushed.PushedImageStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_pushed(self, image: PushedImage) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO pushed_images (job_id, name, digest, step, pushed_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id, name) DO UPDATE SET digest = excluded.digest, step = excluded.step,"
                " pushed_at = excluded.pushed_at",
                (image.job_id, image.name, image.digest, image.step, image.at),
            )

        await self._database.write(write)

    async def list_pushed(self, job_id: str) -> Sequence[PushedImage]:
        rows = self._database.read(
            "SELECT job_id, name, digest, step, pushed_at FROM pushed_images WHERE job_id = ? ORDER BY name", job_id
        )
        return [PushedImage(*row) for row in rows]
