"""The documented garbage collection of a registry, on Debian's docker-registry: read-only, collected, and back."""

import hashlib
from pathlib import Path

import pytest

from danube_pkg.kit.http_client import HttpClient, HttpSettings
from tests.adapters.images.test_registry_catalog import MANIFEST, Pusher
from tests.support.image_layouts import run
from tests.support.registry import READ_ONLY, serving

DOCUMENT = Path(__file__).parents[3] / "docs" / "maintenance.md"


def digest_of(content: str) -> str:
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


async def test_space_of_removed_images_is_freed_and_nothing_else(tmp_path: Path) -> None:
    http = HttpClient(HttpSettings("test", total_seconds=20))
    with serving(tmp_path / "r") as registry:
        pusher = Pusher(registry)
        removed, kept = await pusher.image("app", "1", "removed"), await pusher.image("app", "2", "kept")
        answer = await http.exchange("DELETE", f"{pusher.url}/app/manifests/{removed}")
        assert answer.status == 202
        assert registry.blob(digest_of("removed")).exists()  # the API frees nothing
    with serving(tmp_path / "r", read_only=True) as registry:
        pusher = Pusher(registry)
        pulled = await http.exchange("GET", f"{pusher.url}/app/manifests/2", headers={"accept": MANIFEST})
        assert pulled.status == 200
        with pytest.raises(KeyError):
            await pusher.image("app", "3", "while it is read-only")  # there is no place to upload to
        run("docker-registry", "garbage-collect", str(tmp_path / "r" / "config.yml"))
        assert not registry.blob(digest_of("removed")).exists()
        assert registry.blob(digest_of("kept")).exists()
        assert registry.blob(kept).exists()
    with serving(tmp_path / "r") as registry:
        await Pusher(registry).image("app", "3", "afterwards")
    await http.close()


def test_the_documents_name_the_same_commands() -> None:
    text = DOCUMENT.read_text()
    assert all(f"{name}='{value}'" in text for name, value in READ_ONLY.items())
    assert "docker-registry garbage-collect /etc/docker/registry/config.yml" in text
