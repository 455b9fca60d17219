"""One odd file in a data directory: a start is refused with its name, or goes without it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.blobs.directory import BlobDirectory
from danube_pkg.bootstrap import serve as serve_module
from danube_pkg.bootstrap.serve import ServerOptions, serve
from danube_pkg.bootstrap.store import open_store
from danube_pkg.core.configuration.settings import ConfigRepository, ServerSettings, Settings
from danube_pkg.core.errors import Permanent
from danube_pkg.services.secrets import KnownValues


async def test_a_file_that_cannot_be_used_is_named_whichever_part_met_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`identity.json` is a directory: nothing that Danube makes, so no part expects it."""
    (tmp_path / "identity.json").mkdir()

    @asynccontextmanager
    async def opened(options: Any) -> AsyncIterator[None]:
        async with open_store(tmp_path):
            yield

    monkeypatch.setattr(serve_module, "open_server", opened)
    settings = Settings(ConfigRepository(str(tmp_path)), server=ServerSettings(data_dir=str(tmp_path)))
    images: Any = None  # no image is needed before the directory is open
    options = ServerOptions(settings, frozenset(), KnownValues(), images)
    with pytest.raises(Permanent) as refusal:
        await serve(options, asyncio.Event())
    assert refusal.value.reference == "data-directory-unusable"
    assert str(tmp_path / "identity.json") in refusal.value.what
    assert "danube restore" in refusal.value.hint


def test_an_unfinished_upload_of_any_kind_is_removed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / ".parts" / "directory" / "deeper").mkdir(parents=True)
    (tmp_path / ".parts" / "file").write_bytes(b"x")
    BlobDirectory(tmp_path, "artifact")
    assert list((tmp_path / ".parts").iterdir()) == []


async def test_a_damaged_identity_is_made_anew(tmp_path: Path) -> None:
    """It only tells copies apart."""
    (tmp_path / "identity.json").write_text("{")
    (tmp_path / "danube.lock").write_text("no number")
    async with open_store(tmp_path) as store:
        assert store.database.read("SELECT 1 AS one")[0]["one"] == 1
