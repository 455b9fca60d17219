"""The credentials of registries that a job's pod has: of the server's own for its builders, and of all that the
configuration names for the nodes that pull its images."""

from collections.abc import Callable, Sequence

from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.builders import CONFIG_PATH
from danube_pkg.core.images.registries import RegistrySpec, docker_config
from danube_pkg.core.images.registry_tokens import CredentialKind, RegistryCredential, RegistryPasswords
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.runtimes.pods import ContainerFile, RegistryLogin
from danube_pkg.kit.logs import EventLog
from danube_pkg.services.images.registries import SecretOf

USER = "danube"
"""The user of the server's own credentials; the registry's log shows the job, which its token names."""

_log = EventLog("danube.images")


class JobLogins:
    """host: the server's own registry where it takes tokens of this server, "" otherwise. specs: the configured
    registries."""

    def __init__(
        self, host: str, passwords: RegistryPasswords, specs: Callable[[], Sequence[RegistrySpec]], secret_of: SecretOf
    ) -> None:
        self._host = host
        self._passwords = passwords
        self._specs = specs
        self._secret_of = secret_of

    def password(self, job: Job) -> str:
        """The credential of a job's builds; "" where the registry takes no tokens of this server."""
        reads_only = job.trigger.is_untrusted or job.trigger.rebuild is not None
        kind = CredentialKind.PULL if reads_only else CredentialKind.PUSH
        return self._passwords.registry_password(RegistryCredential(kind, job.id)) if self._host else ""

    def builder_files(self, job: Job) -> tuple[ContainerFile, ...]:
        """The files of a builder's container, in the form of `docker login`."""
        password = self.password(job)
        if not password:
            return ()
        return (ContainerFile(CONFIG_PATH, docker_config([RegistryLogin(self._host, USER, password)])),)

    async def pull_logins(self, job: Job) -> tuple[RegistryLogin, ...]:
        """What the nodes of a cluster pull the job's images with. A registry whose secret is not set has none, so that
        only pulls from it fail, in the registry's words."""
        found: dict[str, RegistryLogin] = {}
        for spec in self._specs():
            if not spec.password_secret:
                continue
            try:
                value = await self._secret_of(spec.password_secret, f"registry {spec.host}")
            except Permanent as error:
                _log.warning("registry-secret-missing", registry=spec.host, cause=str(error), hint=error.hint)
                continue
            found[spec.host] = RegistryLogin(spec.host, spec.username, value.decode(errors="replace"))
        if self._host:
            password = self._passwords.registry_password(RegistryCredential(CredentialKind.PULL, job.id))
            found[self._host] = RegistryLogin(self._host, USER, password)
        return tuple(found.values())
