"""What a builder's step gets, what is refused before it starts, and when a pushed image is an output of the job."""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.keys.registry_key import RegistryKeyFile
from danube_pkg.adapters.store import SqliteJobs, SqlitePushedImages
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.pushed import MAX_PUSHED_IMAGES, AttestationStatus, PushedImage
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.images.registry_tokens import CredentialKind
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.core.jobs.trigger import Rebuild
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from danube_pkg.services.images.builds import BuildSettings, ImageBuilds
from danube_pkg.services.images.job_logins import JobLogins
from danube_pkg.services.images.registry_tokens import RegistryTokens
from tests.edges.http.test_registry_tokens import job_of_pipeline
from tests.services.stores import PIPELINE, open_database

HOST = "registry.danube-system:5000"
KANIKO = "gcr.io/kaniko-project/executor:latest"
DIGEST = f"sha256:{'a' * 64}"


class Tags:
    """A stub of `core.images.pushed.OwnRegistry`, which has these tags."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    async def digest_of(self, repository: str, tag: str) -> str:
        return self.digests.get(f"{repository}:{tag}", "")


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlitePushedImages]:
    """With a job of the pipeline `app`."""
    async with open_database(tmp_path) as database:
        await SqliteJobs(database).create_jobs([replace(job_of_pipeline("app"), pipeline_id=PIPELINE.id)])
        yield SqlitePushedImages(database)


async def no_secret(key: str, user: str) -> bytes:
    raise Permanent("secret-not-set", f"{user} needs the secret {key!r}, which is not set")


def builds_with(
    store: SqlitePushedImages, directory: Path, *, tags: Tags | None = None, tokens: bool = True
) -> ImageBuilds:
    """A pipeline `app` that may also push to `shop`."""
    keys, clock = Keys(bytes(32)), SystemClock()

    def images_of() -> Mapping[str, Sequence[str]]:
        return {"app": ("shop",)}

    def job_of(job_id: str) -> Job:
        return job_of_pipeline("app")

    key = RegistryKeyFile(directory)
    issued = RegistryTokens(HOST, keys, key, clock, lambda: "id", job_of, images_of) if tokens else None
    settings = BuildSettings(HOST, "docker.io", lambda: (RegistrySpec(HOST, insecure=True), RegistrySpec("other.test")))
    logins = JobLogins(HOST if tokens else "", keys, settings.specs, no_secret)
    return ImageBuilds(settings, store, clock, logins, issued, tags or Tags())


def request(command: str) -> StepRequest:
    return StepRequest(1, "build", command, KANIKO, {}, "/workspace", 0, 0, True)


def build(destination: str, more: str = "") -> StepRequest:
    return request(f"/kaniko/executor --context=/workspace --destination={HOST}/{destination} {more}".strip())


def test_a_builders_command_gets_what_this_server_needs(store: SqlitePushedImages, tmp_path: Path) -> None:
    builds = builds_with(store, tmp_path)
    prepared = builds.prepared(job_of_pipeline("app"), build("app/web:1"))
    assert prepared.command.endswith(f"--force --insecure-registry={HOST} --digest-file=/dev/stdout")
    assert builds.prepared(job_of_pipeline("app"), prepared).command.count("--force") == 1
    assert builds.is_build(KANIKO)
    assert not builds.is_build("busybox:1")


@pytest.mark.parametrize(
    "command", ["docs/web:1", "docs/web:1 --cache=true", f"app/web:1 --cache-repo={HOST}/docs/cache"]
)
def test_a_build_that_may_not_push_is_refused_before_it_starts(
    store: SqlitePushedImages, tmp_path: Path, command: str
) -> None:
    with pytest.raises(Permanent, match="pipeline app may not push to docs/") as refused:
        builds_with(store, tmp_path).prepared(job_of_pipeline("app"), build(command))
    assert "images: [shop, docs/" in refused.value.hint


def test_untrusted_code_builds_without_pushing_and_only_reads_the_cache(
    store: SqlitePushedImages, tmp_path: Path
) -> None:
    builds, fork = builds_with(store, tmp_path), job_of_pipeline("app", fork=True)
    with pytest.raises(Permanent, match="this job of app may not push"):
        builds.prepared(fork, build("app/web:1"))
    allowed = build("app/web:1", f"--no-push --cache=true --cache-repo={HOST}/app/web/cache")
    assert builds.prepared(fork, allowed).command.endswith("--no-push-cache")
    assert Keys(bytes(32)).check_registry_password(builds.password(fork)).kind is CredentialKind.PULL


async def test_a_rebuild_builds_without_pushing_and_records_what_it_built(
    store: SqlitePushedImages, tmp_path: Path
) -> None:
    builds, job = builds_with(store, tmp_path), job_of_pipeline("app")
    job = replace(job, trigger=replace(job.trigger, rebuild=Rebuild("other")))
    prepared = builds.prepared(job, build("app/web:1", "--cache=true"))
    assert prepared.command.endswith("--digest-file=/dev/stdout --no-push --cache=false")
    assert Keys(bytes(32)).check_registry_password(builds.password(job)).kind is CredentialKind.PULL
    (found,) = await builds.record(job, prepared, DIGEST.encode())
    assert (found.name, found.digest) == (f"{HOST}/app/web:1", DIGEST)
    (kept,) = await store.list_pushed(job.id)
    assert (kept.name, kept.attestation, kept.problem) == (
        found.name,
        AttestationStatus.UNATTESTED,
        "a rebuild pushes nothing",
    )


def test_the_credential_is_a_file_of_docker_login(store: SqlitePushedImages, tmp_path: Path) -> None:
    builds, job = builds_with(store, tmp_path), job_of_pipeline("app")
    (config,) = builds.files(job)
    assert config.path == "/kaniko/.docker/config.json"
    auth = json.loads(config.content)["auths"][HOST]["auth"]
    password = base64.b64decode(auth).decode().partition(":")[2]
    assert password == builds.password(job)
    assert Keys(bytes(32)).check_registry_password(password).kind is CredentialKind.PUSH
    assert password not in repr(config)


def test_a_registry_without_tokens_gets_no_credential_and_no_checks(store: SqlitePushedImages, tmp_path: Path) -> None:
    builds = builds_with(store, tmp_path, tokens=False)
    assert builds.files(job_of_pipeline("app")) == ()
    assert builds.prepared(job_of_pipeline("app"), build("docs/web:1")).command


async def test_an_image_is_recorded_once_the_registry_confirms_it(store: SqlitePushedImages, tmp_path: Path) -> None:
    tags = Tags()
    builds, job = builds_with(store, tmp_path, tags=tags), job_of_pipeline("app")
    output = f"INFO building\n{DIGEST}INFO Pushed\n".encode()
    with pytest.raises(Permanent, match=f"the registry does not have {HOST}/app/web:1") as refused:
        await builds.record(job, build("app/web:1"), output)
    assert DIGEST in refused.value.cause
    assert await store.list_pushed(job.id) == []
    tags.digests["app/web:1"] = DIGEST
    (found,) = await builds.record(job, build("app/web:1"), output)
    assert (found.name, found.digest, found.step) == (f"{HOST}/app/web:1", DIGEST, 1)
    await builds.record(job, build("app/web:1"), output)
    assert [one.name for one in await store.list_pushed(job.id)] == [f"{HOST}/app/web:1"]
    assert builds.pushes.by_label() == {f"{HOST}/app/web": 1}  # the metric counts a repetition once


async def test_what_was_not_pushed_here_is_not_recorded(store: SqlitePushedImages, tmp_path: Path) -> None:
    builds, job = builds_with(store, tmp_path), job_of_pipeline("app")
    elsewhere = request("/kaniko/executor --destination=other.test/app:1")
    for asked, output in ((elsewhere, DIGEST), (build("app/web:1", "--no-push"), DIGEST), (build("app/web:1"), "none")):
        assert await builds.record(job, asked, output.encode()) == []


async def test_the_images_of_a_job_are_bounded(store: SqlitePushedImages, tmp_path: Path) -> None:
    tags = Tags()
    builds, job = builds_with(store, tmp_path, tags=tags), job_of_pipeline("app")
    for one in range(MAX_PUSHED_IMAGES):
        await store.add_pushed(PushedImage(job.id, str(one), DIGEST, 1, 0.0))
    tags.digests["app/web:1"] = DIGEST
    with pytest.raises(Permanent, match="more than 200 images"):
        await builds.record(job, build("app/web:1"), DIGEST.encode())
    assert job.phase is Phase.RUNNING
