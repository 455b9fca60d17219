"""Provenance is attached to images of a real registry, Debian's docker-registry, and is found by its tag."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.adapters.images.attaching import RegistryAttachments
from danube_pkg.adapters.images.exchange import RegistryExchange
from danube_pkg.adapters.keys.signing import SigningKeys, is_signed_by
from danube_pkg.adapters.store import SqliteProvenance, SqlitePushedImages
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.pushed import AttestationStatus, PushedImage
from danube_pkg.core.images.registries import RegistryCredentials, RegistryEndpoint
from danube_pkg.core.jobs.job import Job, Phase, Provenance
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding, read_envelopes
from danube_pkg.core.provenance.expectations import Expectations
from danube_pkg.core.provenance.image_attestations import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    MAX_REFERRERS,
    AttachedStatement,
    fallback_tag,
    index_with,
)
from danube_pkg.core.provenance.statement import statement_of
from danube_pkg.core.provenance.verification import verify_envelopes
from danube_pkg.core.reasons import Status
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.http_client import HttpSettings
from danube_pkg.kit.loops import Timing
from danube_pkg.kit.records import replace
from danube_pkg.services.images.attestations import ImageProvenance
from tests.adapters.images.test_registry_catalog import Access, Pusher
from tests.core.provenance.facts import a_job, facts_of
from tests.services.stores import PIPELINE, UnrulyJobs, open_database
from tests.support.registry import PASSWORD, USER, Registry, serving


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp("registry") / "open") as open_registry:
        yield open_registry


@pytest.fixture
async def pusher(registry: Registry) -> AsyncIterator[Pusher]:
    made = Pusher(registry)
    yield made
    await made.http.close()


@pytest.fixture
async def attachments(registry: Registry) -> AsyncIterator[RegistryAttachments]:
    exchange = exchange_with(registry, None)
    yield RegistryAttachments(endpoint_of(registry), exchange)
    await exchange.close()


def endpoint_of(registry: Registry) -> RegistryEndpoint:
    return RegistryEndpoint(f"http://{registry.host}", registry.host, mirror=False)


def exchange_with(registry: Registry, credentials: RegistryCredentials | None) -> RegistryExchange:
    settings = HttpSettings("test", total_seconds=20, body_bytes=1024**2)
    return RegistryExchange(endpoint_of(registry), Access(credentials), SystemClock(), settings)


async def fetched(pusher: Pusher, path: str) -> dict[str, Any]:
    answer = await pusher.http.exchange(
        "GET", f"{pusher.url}/{path}", headers={"accept": f"{INDEX_TYPE}, {MANIFEST_TYPE}"}
    )
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def attached(pusher: Pusher, repository: str, digest: str) -> list[bytes]:
    """The bundles that a client finds by the tag that is named after the digest."""
    index = await fetched(pusher, f"{repository}/manifests/{fallback_tag(digest)}")
    found = []
    for entry in index["manifests"]:
        manifest = await fetched(pusher, f"{repository}/manifests/{entry['digest']}")
        assert manifest["subject"]["digest"] == digest
        assert manifest["artifactType"] == entry["artifactType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
        blob = await pusher.http.exchange("GET", f"{pusher.url}/{repository}/blobs/{manifest['layers'][0]['digest']}")
        found.append(blob.body)
    return found


async def test_a_statement_is_found_by_the_digest_of_its_image(
    pusher: Pusher, attachments: RegistryAttachments
) -> None:
    digest = await pusher.image("app/web", "1", "content")
    one, other = AttachedStatement(b'{"a": 1}', "https://slsa.dev/provenance/v1"), AttachedStatement(b"{}", "x")
    await attachments.attach("app/web", digest, [one])
    await attachments.attach("app/web", digest, [one, other])
    assert await attached(pusher, "app/web", digest) == [one.bundle, other.bundle]


async def test_what_others_have_attached_stays(pusher: Pusher, attachments: RegistryAttachments) -> None:
    digest = await pusher.image("app/other", "1", "content")
    foreign = await pusher.image("app/other", "foreign", "an attestation of another tool")
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": foreign, "size": 1}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}
    await pusher._put(f"app/other/manifests/{fallback_tag(digest)}", json.dumps(index).encode(), INDEX_TYPE)
    await attachments.attach("app/other", digest, [AttachedStatement(b"{}", "x")])
    found = await fetched(pusher, f"app/other/manifests/{fallback_tag(digest)}")
    digests = [one["digest"] for one in found["manifests"]]
    assert (digests[0], len(digests)) == (foreign, 2)


async def test_an_image_that_is_gone_is_a_permanent_refusal(attachments: RegistryAttachments) -> None:
    with pytest.raises(Permanent, match=r"does not have app/gone@sha256:0+ any more"):
        await attachments.attach("app/gone", f"sha256:{'0' * 64}", [AttachedStatement(b"{}", "x")])


async def test_a_registry_with_an_account(tmp_path: Path) -> None:
    with serving(tmp_path / "closed", account=True) as closed:
        pusher = Pusher(closed)
        exchange = exchange_with(closed, RegistryCredentials(USER, PASSWORD))
        without_login = exchange_with(closed, None)
        with pytest.raises(Permanent, match="does not take") as refusal:
            await RegistryAttachments(endpoint_of(closed), without_login).attach("a", f"sha256:{'0' * 64}", [])
        with pytest.raises(Permanent, match="any more"):
            await RegistryAttachments(endpoint_of(closed), exchange).attach("a", f"sha256:{'0' * 64}", [])
        for one in (exchange, without_login, pusher.http):
            await one.close()
    assert refusal.value.reference == "registry-refuses-statement"


def test_an_index_has_a_bound() -> None:
    full = {"manifests": [{"digest": f"sha256:{number:064}"} for number in range(MAX_REFERRERS)]}
    assert index_with(full, AttachedStatement(b"{}", "x"), b"{}") is None
    assert index_with({"manifests": "text"}, AttachedStatement(b"{}", "x"), b"{}") is not None


async def ended_job(path: Path, keys: SigningKeys, digest: str, job: Job) -> bytes:
    """The signed statement about a job that has pushed an image with that digest."""
    image = PushedImage(job.id, "registry.test/app/web:1", digest, 1, 1.0)
    payload = statement_of(replace(facts_of(job), images=(image,)))
    signature = await keys.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Envelope(payload, PAYLOAD_TYPE, (signature,)).encode()


async def test_the_images_of_green_jobs_are_attested_and_those_of_red_ones_listed_as_unattested(
    tmp_path: Path, pusher: Pusher, attachments: RegistryAttachments
) -> None:
    keys = SigningKeys.open(tmp_path / "keys", SystemClock())
    async with open_database(tmp_path) as database:
        jobs, images = UnrulyJobs(database), SqlitePushedImages(database)
        digests = {}
        for name, outcome in (("green", Status.SUCCESS), ("red", Status.FAILURE)):
            digest = digests[name] = await pusher.image(f"app/{name}", "1", name)
            job = replace(a_job(), id=name, pipeline_id=PIPELINE.id, outcome=outcome, records=())
            await jobs.create_jobs([job])
            await images.add_pushed(PushedImage(name, f"registry.test/app/{name}:1", digest, 1, 1.0))
            signed = Provenance(await ended_job(tmp_path, keys, digest, job), keys.current.id)
            ended = replace(job, phase=Phase.CLOSED, status=outcome, provenance=signed)
            await jobs.save_job(ended)
        service = ImageProvenance(
            images, SqliteProvenance(database), attachments, Timing(SystemClock()), asyncio.Event()
        )
        assert await service.attach_due() is None
        assert await service.attach_due() is None
        (green,), (red,) = await images.list_pushed("green"), await images.list_pushed("red")
    assert green.attestation is AttestationStatus.ATTESTED
    assert (red.attestation, red.problem) == (AttestationStatus.UNATTESTED, "its job ended as failure")
    (bundle,) = await attached(pusher, "app/green", digests["green"])
    verdict = verify_envelopes(
        read_envelopes(bundle),
        digests["green"].partition(":")[2],
        keys.public_keys(),
        is_signed_by,
        Expectations(),
    )
    assert verdict.verified
    tag = await pusher.http.exchange("GET", f"{pusher.url}/app/red/manifests/{fallback_tag(digests['red'])}")
    assert tag.status == 404
