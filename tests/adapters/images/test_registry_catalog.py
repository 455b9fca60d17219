"""Images are removed from a real registry, Debian's docker-registry: what is due goes, what belongs together stays."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from danube_pkg.adapters.images.registry_catalog import RegistryCatalog
from danube_pkg.adapters.store import Database, SqliteSeenManifests
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.images.registries import RegistryCredentials, RegistryEndpoint, RegistrySpec
from danube_pkg.core.retention.registry import ImagePolicy, ImageWhy
from danube_pkg.kit.http_client import HttpClient, HttpSettings
from danube_pkg.services.registry_images import RegistryImages
from tests.support.moved_clock import MovedClock
from tests.support.registry import PASSWORD, USER, Registry, serving

NOW, DAY = 1_800_000_000.0, 86400.0
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Access:
    """`core.images.ports.RegistryAccess`."""

    def __init__(self, credentials: RegistryCredentials | None) -> None:
        self._credentials = credentials

    def specs(self) -> tuple[RegistrySpec, ...]:
        return ()

    async def credentials(self, host: str) -> RegistryCredentials | None:
        return self._credentials


class Pusher:
    """Pushes small images."""

    def __init__(self, registry: Registry) -> None:
        self.url = f"http://{registry.host}/v2"
        self.http = HttpClient(HttpSettings("test", total_seconds=20))

    async def _put(self, path: str, data: bytes, kind: str) -> None:
        answer = await self.http.exchange("PUT", f"{self.url}/{path}", headers={"content-type": kind}, body=data)
        assert answer.status == 201, answer.body

    async def blob(self, repository: str, data: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        begun = await self.http.exchange("POST", f"{self.url}/{repository}/blobs/uploads/")
        place = dict(begun.headers)["location"]
        joined = "&" if "?" in place else "?"
        answer = await self.http.exchange("PUT", f"{place}{joined}digest={digest}", body=data)
        assert answer.status == 201, answer.body
        return {"digest": digest, "size": len(data), "mediaType": "application/vnd.oci.image.layer.v1.tar"}

    async def image(self, repository: str, tag: str, content: str) -> str:
        """Push an image with one layer. tag: "" for the digest alone. Returns its digest."""
        layer = await self.blob(repository, content.encode())
        config = {**await self.blob(repository, b"{}"), "mediaType": "application/vnd.oci.image.config.v1+json"}
        return await self.manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        )

    async def manifest(self, repository: str, tag: str, document: dict[str, object]) -> str:
        data = json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        await self._put(f"{repository}/manifests/{tag or digest}", data, str(document["mediaType"]))
        return digest

    async def index(self, repository: str, tag: str, *digests: str) -> str:
        manifests = [{"mediaType": MANIFEST, "digest": one, "size": 1} for one in digests]
        return await self.manifest(repository, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("registry") / "r") as running:
        yield running


class Cleaned:
    """A registry that is cleaned up, on a clock that is moved."""

    def __init__(self, registry: Registry, database: Database) -> None:
        self.clock = MovedClock(NOW)
        endpoint = RegistryEndpoint(f"http://{registry.host}", registry.host, mirror=False)
        self.catalog = RegistryCatalog(endpoint, Access(None), self.clock, "test")
        self.policy = ImagePolicy(30 * DAY, keep_count=1)
        self.named: set[tuple[str, str]] = set()
        seen = SqliteSeenManifests(database, registry.host)
        self.images = RegistryImages(
            self.catalog, seen, self.clock, lambda: self.policy, lambda: self.named, lambda: ("app",)
        )
        self.push = Pusher(registry)

    async def tags(self, repository: str) -> set[str]:
        return set(await self.catalog.tags(repository))

    async def after(self, days: float) -> dict[str, ImageWhy]:
        """Remove what is due so many days later. Returns why, by digest."""
        self.clock.move(days * DAY)
        return {one.digest: one.why for one in await self.images.remove()}


@pytest.fixture
async def cleaned(registry: Registry, tmp_path: Path) -> AsyncIterator[Cleaned]:
    database = Database(tmp_path / "danube.db")
    made = Cleaned(registry, database)
    yield made
    for name in await made.catalog.repositories():
        for tag in await made.catalog.tags(name):
            found = await made.catalog.manifest(name, tag)
            if found is not None:
                await made.catalog.delete(name, found.digest)
    await made.catalog.close()
    await made.push.http.close()
    await database.close()


async def test_images_go_by_age_and_what_belongs_to_them_goes_and_stays_with_them(cleaned: Cleaned) -> None:
    push = cleaned.push
    shared, gone = await push.image("app", "", "both"), await push.image("app", "", "old")
    old = await push.index("app", "1", shared, gone)
    attestation = await push.image("app", f"sha256-{old.partition(':')[2]}", "of the old")
    assert await cleaned.after(0) == {}
    await push.index("app", "2", shared)
    kept = await push.image("app", f"sha256-{shared.partition(':')[2]}.att", "of the shared")
    assert await cleaned.after(20) == {}
    assert await cleaned.after(20) == {old: ImageWhy.AGE, gone: ImageWhy.UNTAGGED, attestation: ImageWhy.ORPHAN}
    assert await cleaned.tags("app") == {"2", f"sha256-{shared.partition(':')[2]}.att"}
    assert await cleaned.catalog.manifest("app", shared) is not None
    assert await cleaned.catalog.manifest("app", kept) is not None
    assert [one.reference for one in await cleaned.images.conditions()] == ["registry-garbage"]
    assert await cleaned.after(1) == {}
    assert await cleaned.images.conditions() == []


async def test_the_manifests_of_an_attached_index_stay_as_long_as_their_image(cleaned: Cleaned) -> None:
    """Provenance is a manifest without a tag, in an index that is named after the image's digest."""
    push = cleaned.push
    image = await push.image("app", "1", "content")
    statement = await push.image("app", "", "its provenance")
    await push.index("app", f"sha256-{image.partition(':')[2]}", statement)
    await cleaned.after(0)
    assert await cleaned.after(5) == {}
    assert await cleaned.catalog.manifest("app", statement) is not None


async def test_a_tag_that_moves_leaves_an_untagged_manifest_which_goes_after_a_day(cleaned: Cleaned) -> None:
    before = await cleaned.push.image("app", "main", "one")
    assert await cleaned.after(0) == {}
    await cleaned.push.image("app", "main", "two")
    assert await cleaned.after(0.5) == {}
    assert await cleaned.after(1) == {before: ImageWhy.UNTAGGED}


async def test_protected_and_named_images_stay(cleaned: Cleaned) -> None:
    cleaned.policy = ImagePolicy(30 * DAY, keep_count=0, protected=("release-*",))
    cleaned.named = {("app", "tools")}
    await cleaned.push.image("app", "release-1", "released")
    await cleaned.push.image("app", "tools", "tools")
    other = await cleaned.push.image("app", "other", "other")
    await cleaned.after(0)
    assert await cleaned.after(40) == {other: ImageWhy.AGE}


async def test_all_pages_of_a_registry_are_read(cleaned: Cleaned) -> None:
    layer = await cleaned.push.image("app", "0", "many")
    found = await cleaned.catalog.manifest("app", layer)
    assert found is not None
    for number in range(101):
        await cleaned.push.index("app", f"t{number:03}", layer)
    assert len(await cleaned.tags("app")) == 102


async def test_a_registry_with_an_account_is_read_with_it(tmp_path: Path) -> None:
    clock = MovedClock(NOW)
    with serving(tmp_path / "registry", account=True) as running:
        endpoint = RegistryEndpoint(f"http://{running.host}", running.host, mirror=False)
        known = RegistryCatalog(endpoint, Access(RegistryCredentials(USER, PASSWORD)), clock, "test")
        assert await known.repositories() == []
        await known.close()
        unknown = RegistryCatalog(endpoint, Access(None), clock, "test")
        with pytest.raises(Permanent) as refusal:
            await unknown.repositories()
        assert refusal.value.reference == "registry-denies-access"
        await unknown.close()


async def test_a_registry_that_does_not_answer_is_a_condition(tmp_path: Path) -> None:
    clock, database = MovedClock(NOW), Database(tmp_path / "danube.db")
    catalog = RegistryCatalog(
        RegistryEndpoint("http://127.0.0.1:9", "127.0.0.1:9", mirror=False), Access(None), clock, "test"
    )
    images = RegistryImages(
        catalog, SqliteSeenManifests(database, "r"), clock, lambda: ImagePolicy(DAY), lambda: (), lambda: ()
    )
    with pytest.raises(Unavailable):
        await images.plan()
    assert await images.remove() == []
    assert [one.reference for one in await images.conditions()] == ["registry-not-cleaned"]
    await catalog.close()
    await database.close()
