"""Tokens of this server at a real registry, Debian's docker-registry: who may push and pull, by job and pipeline."""

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest
import pytest_asyncio

from danube_pkg.adapters.images.pushing import RegistryPusher
from danube_pkg.adapters.images.registry_catalog import RegistryCatalog
from danube_pkg.adapters.keys.registry_key import RegistryKeyFile
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.images.reference import ImageReference, PackedBlob, PackedImage
from danube_pkg.core.images.registries import RegistryCredentials, RegistryEndpoint
from danube_pkg.core.images.registry_tokens import TOKEN_ISSUER, TOKEN_PATH, CredentialKind, RegistryCredential
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.pipelines import PipelineSettings
from danube_pkg.core.reasons import Reason, Status
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.http_client import HttpClient, HttpSettings, no_proxy
from danube_pkg.kit.records import replace
from danube_pkg.services.images.registry_tokens import RegistryTokens
from tests.adapters.images.test_registry_catalog import Access
from tests.edges.http.api import Api, open_api
from tests.support.image_layouts import digest
from tests.support.registry import Registry, serving

SERVICE = "registry.danube-system:5000"


@dataclass
class Setting:
    """A server and a registry that takes its tokens. jobs: those that are active. images: `images` by pipeline."""

    api: Api
    registry: Registry
    scratch: Path
    jobs: dict[str, Job]
    images: dict[str, Sequence[str]]
    endpoint: RegistryEndpoint = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = RegistryEndpoint(f"http://{self.registry.host}", self.registry.host, mirror=False)

    def access(self, kind: CredentialKind, job_id: str = "") -> Access:
        password = self.api.parts.store.keys.registry_password(RegistryCredential(kind, job_id))
        return Access(RegistryCredentials("danube", password))

    async def push(self, repository: str, access: Access) -> str:
        """Push a small image; its digest."""
        config = self.scratch / "config"
        config.write_bytes(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
        name, size = digest(config.read_bytes()), config.stat().st_size
        manifest = (
            '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"config":'
            f'{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{name}","size":{size}}}}}'
        ).encode()
        image = PackedImage(
            manifest, "application/vnd.oci.image.manifest.v1+json", (PackedBlob(name, config, 0, size),)
        )
        pusher = RegistryPusher(self.endpoint, access, SystemClock(), "test", no_proxy, lambda line: None)
        try:
            return await pusher.push(image, ImageReference(self.registry.host, repository, "1"))
        finally:
            await pusher.close()

    async def exists(self, repository: str, access: Access) -> bool:
        catalog = RegistryCatalog(self.endpoint, access, SystemClock(), "test")
        try:
            return await catalog.manifest(repository, "1") is not None
        finally:
            await catalog.close()

    async def ask(self, query: str, user_and_password: str = "") -> tuple[int, bytes]:
        basic = base64.b64encode(user_and_password.encode()).decode()
        headers = {"authorization": f"Basic {basic}"} if user_and_password else {}
        client = HttpClient(HttpSettings("test", proxy_of=no_proxy))
        found = await client.exchange("GET", f"{self.api.address}{TOKEN_PATH}?{query}", headers=headers)
        await client.close()
        return found.status, found.body


@pytest_asyncio.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    jobs: dict[str, Job] = {}
    images: dict[str, Sequence[str]] = {"app": ("myorg/app",), "web": ()}

    def job_of(job_id: str) -> Job:
        if job_id not in jobs:
            raise NotFound("job-not-active", "no job")
        return jobs[job_id]

    def tokens(store: Store) -> RegistryTokens:
        key = RegistryKeyFile(store.directory / "keys")
        key.open()

        def images_of() -> Mapping[str, Sequence[str]]:
            return MappingProxyType(images)

        return RegistryTokens(SERVICE, store.keys, key, store.clock, store.new_id, job_of, images_of)

    async with open_api(tmp_path / "server", registry_tokens=tokens) as api:
        certificate = tmp_path / "server" / "keys" / "registry.pem"
        configured = (
            f"{{realm: '{api.address}{TOKEN_PATH}', service: '{SERVICE}', issuer: {TOKEN_ISSUER},"
            f" rootcertbundle: {certificate}}}"
        )
        with serving(tmp_path / "registry", token=configured) as registry:
            yield Setting(api, registry, tmp_path, jobs, images)


def job_of_pipeline(pipeline: str, *, fork: bool = False) -> Job:
    """A running job. fork: of an approved proposal."""
    pull_request = {"number": 1, "fork": True} if fork else None
    trigger = Trigger("webhook", "carol", Revision("c" * 40, branch="main"), pull_request=pull_request)
    job = Job(
        id="job1",
        pipeline_id="id",
        pipeline=pipeline,
        trigger=trigger,
        settings=PipelineSettings("/nowhere"),
        created_at=0.0,
    )
    return replace(job, phase=Phase.RUNNING)


async def test_a_job_pushes_what_its_pipeline_owns_and_pulls_everything(setting: Setting) -> None:
    setting.jobs |= {"job1": job_of_pipeline("app"), "job2": job_of_pipeline("web")}
    push = setting.access(CredentialKind.PUSH, "job1")
    for repository in ("app/web", "app/web/cache", "myorg/app"):
        assert (await setting.push(repository, push)).startswith("sha256:")
    pull = setting.access(CredentialKind.PULL, "job2")
    assert await setting.exists("app/web", pull)
    for denied, access in (("app/other", pull), ("app/other", setting.access(CredentialKind.PUSH, "job2"))):
        with pytest.raises(Permanent):
            await setting.push(denied, access)
    assert not await setting.exists("app/other", pull)


async def test_a_refused_push_says_which_line_to_add(setting: Setting) -> None:
    setting.jobs["job1"] = job_of_pipeline("web")
    password = setting.api.parts.store.keys.registry_password(RegistryCredential(CredentialKind.PUSH, "job1"))
    query = f"service={SERVICE}&scope=repository:shop/front:push,pull"
    status, body = await setting.ask(query, f"danube:{password}")
    assert status == 403
    assert b'"code":"DENIED"' in body.replace(b": ", b":")
    assert b"images: [shop/front]" in body
    status, body = await setting.ask(f"service={SERVICE}&scope=repository:myorg/app:push", f"danube:{password}")
    assert (status, b"belongs to pipeline app" in body) == (403, True)
    setting.images["web"] = ("shop/front",)
    assert await setting.push("shop/front", setting.access(CredentialKind.PUSH, "job1"))


async def test_a_job_of_a_fork_only_reads_also_where_it_was_approved(setting: Setting) -> None:
    setting.jobs |= {"job1": job_of_pipeline("app"), "fork": job_of_pipeline("app", fork=True)}
    await setting.push("app/web", setting.access(CredentialKind.PUSH, "job1"))
    access = setting.access(CredentialKind.PUSH, "fork")
    assert await setting.exists("app/web", access)
    for repository in ("app/web", "app/web/cache"):
        with pytest.raises(Permanent):
            await setting.push(repository, access)
    password = setting.api.parts.store.keys.registry_password(RegistryCredential(CredentialKind.PUSH, "fork"))
    status, body = await setting.ask(f"service={SERVICE}&scope=repository:app/web/cache:push", f"danube:{password}")
    assert (status, b"authors who may not push" in body) == (403, True)


async def test_a_credential_ends_with_its_job(setting: Setting) -> None:
    setting.jobs["job1"] = job_of_pipeline("app")
    access = setting.access(CredentialKind.PUSH, "job1")
    await setting.push("app/web", access)
    setting.jobs["job1"] = replace(
        setting.jobs["job1"], phase=Phase.CONCLUDING, outcome=Status.SUCCESS, reason=Reason.NONE
    )
    with pytest.raises(Permanent):
        await setting.push("app/two", access)
    del setting.jobs["job1"]
    with pytest.raises(Permanent):
        await setting.push("app/two", access)


async def test_the_server_lists_and_deletes_and_no_job_does(setting: Setting) -> None:
    setting.jobs["job1"] = job_of_pipeline("app")
    made = await setting.push("app/web", setting.access(CredentialKind.PUSH, "job1"))
    catalog = RegistryCatalog(setting.endpoint, setting.access(CredentialKind.SERVER), SystemClock(), "test")
    assert await catalog.repositories() == ["app/web"]
    for_job = RegistryCatalog(setting.endpoint, setting.access(CredentialKind.PUSH, "job1"), SystemClock(), "test")
    with pytest.raises(Permanent):
        await for_job.repositories()
    with pytest.raises(Permanent):
        await for_job.delete("app/web", made)
    await catalog.delete("app/web", made)
    assert not await setting.exists("app/web", setting.access(CredentialKind.SERVER))
    await catalog.close()
    await for_job.close()


async def test_no_credential_and_a_guessed_one_are_refused(setting: Setting) -> None:
    scope = "scope=repository:app/web:pull"
    for sent in ("", "danube:guess", "danube:dr1.server..AAAA", "nocolon"):
        assert (await setting.ask(f"service={SERVICE}&{scope}", sent))[0] == 401
    server = setting.api.parts.store.keys.registry_password(RegistryCredential(CredentialKind.SERVER))
    assert (await setting.ask(f"service=other&{scope}", f"danube:{server}"))[0] == 403
    assert (await setting.ask(f"service={SERVICE}&scope=nonsense", f"danube:{server}"))[0] == 400
    assert (await setting.ask(f"service={SERVICE}&{scope}", f"danube:{server}"))[0] == 200
    anonymous = Access(None)
    with pytest.raises(Permanent):
        await setting.push("app/web", anonymous)
