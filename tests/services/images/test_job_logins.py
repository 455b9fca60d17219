"""What the pod of a job has of registries."""

import json

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.images.registry_tokens import CredentialKind, RegistryCredential
from danube_pkg.services.images.job_logins import JobLogins
from tests.edges.http.test_registry_tokens import job_of_pipeline
from tests.services.images.test_builds import HOST

SPECS = (
    RegistrySpec("open.test"),
    RegistrySpec("closed.test", username="me", password_secret="TOKEN"),
    RegistrySpec("forgotten.test", username="me", password_secret="NOT_SET"),
)


async def read_secret(key: str, user: str) -> bytes:
    if key != "TOKEN":
        raise Permanent("secret-not-set", f"{user} needs the secret {key!r}, which is not set")
    return b"word"


def logins(host: str) -> JobLogins:
    return JobLogins(host, Keys(bytes(32)), lambda: SPECS, read_secret)


async def test_nodes_pull_with_the_configured_credentials_and_the_jobs_own() -> None:
    job = job_of_pipeline("app")
    found = await logins(HOST).pull_logins(job)
    assert [(one.host, one.username) for one in found] == [("closed.test", "me"), (HOST, "danube")]
    assert found[0].password == "word"
    own = Keys(bytes(32)).check_registry_password(found[1].password)
    assert own == RegistryCredential(CredentialKind.PULL, job.id)


async def test_without_tokens_there_is_no_credential_of_the_jobs_own() -> None:
    job = job_of_pipeline("app")
    assert [one.host for one in await logins("").pull_logins(job)] == ["closed.test"]
    assert logins("").builder_files(job) == ()


def test_builders_have_the_credential_as_docker_login_writes_it() -> None:
    (file,) = logins(HOST).builder_files(job_of_pipeline("app"))
    assert list(json.loads(file.content)["auths"]) == [HOST]
