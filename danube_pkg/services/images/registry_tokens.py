"""Issues tokens for the server's own registry, by the rights of jobs.

Every job of this server may pull: its images are for all pipelines, as those of any registry that the configuration
names. Only a job that builds may push, to what its pipeline owns, and never a job of untrusted code. A credential is of
no use once its job has ended.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danube_pkg.core.errors import Forbidden, NotFound, Permanent
from danube_pkg.core.images.push_rights import fork_refused, owns, push_refused
from danube_pkg.core.images.registry_tokens import (
    TOKEN_SECONDS,
    CredentialKind,
    RegistryCredential,
    RegistryPasswords,
    TokenScope,
    TokenSigner,
    claims_of_token,
    parse_scopes,
)
from danube_pkg.core.jobs.job import Job, Phase
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.times import iso

_log = EventLog("danube.images")

_LIVE = frozenset({Phase.PREPARING, Phase.RUNNING})
"""Phases of jobs that have a pod and may use a registry."""


class RegistryTokens:
    """service: the registry's host as its configuration has it. job_of: an active job; raises NotFound. images_of: the
    `images` of each pipeline, by its name."""

    def __init__(
        self,
        service: str,
        passwords: RegistryPasswords,
        signer: TokenSigner,
        clock: Clock,
        new_id: Callable[[], str],
        job_of: Callable[[str], Job],
        images_of: Callable[[], Mapping[str, Sequence[str]]],
    ) -> None:
        self.service = service
        self._passwords = passwords
        self._signer = signer
        self._clock = clock
        self._new_id = new_id
        self._job_of = job_of
        self._images_of = images_of

    async def issue(self, password: str, service: str, scopes: Sequence[str]) -> Mapping[str, Any]:
        """The answer to a request for a token, as the registry's protocol has it.

        Raises Unauthenticated, Forbidden, Invalid, and Permanent for a push that the job may not make.
        """
        credential = self._passwords.check_registry_password(password)
        if service != self.service:
            what = f"this server issues tokens for {self.service}, not for {service[:100]!r}"
            raise Forbidden("registry-unknown", what, hint="auth: token: service of the registry's configuration")
        wanted = parse_scopes(scopes)
        if credential.kind is CredentialKind.SERVER:
            granted, subject = wanted, "danube"
        else:
            job = self._live(credential)
            granted, subject = [self._granted(one, credential, job) for one in wanted], f"job {job.id}"
        now = self._clock.now()
        token = await self._signer.sign_registry_token(claims_of_token(subject, service, granted, self._new_id(), now))
        _log.info("registry-token", subject=subject, scopes=[f"{one.name}:{','.join(one.actions)}" for one in granted])
        return {"token": token, "access_token": token, "expires_in": TOKEN_SECONDS, "issued_at": iso(now)}

    def check_push(self, job: Job, repository: str) -> None:
        """Raises Permanent, with the line that would allow it, for a repository that a job may not push to."""
        images = self._images_of()
        if job.trigger.is_untrusted:
            raise fork_refused(job.pipeline, repository)
        if not owns(job.pipeline, images.get(job.pipeline, ()), repository):
            raise push_refused(job.pipeline, repository, images)

    def _live(self, credential: RegistryCredential) -> Job:
        try:
            job = self._job_of(credential.job_id)
        except NotFound as error:
            raise _ended(credential) from error
        if job.phase not in _LIVE:
            raise _ended(credential)
        return job

    def _granted(self, scope: TokenScope, credential: RegistryCredential, job: Job) -> TokenScope:
        """What a job gets of a scope. A push that it may not make is refused as a whole: with less than it requested a
        client could only say that it was denied."""
        if scope.type != "repository":
            return TokenScope(scope.type, scope.name, ())
        if not set(scope.actions) <= {"pull", "push"} or ("push" in scope.actions and not self._may_push(credential)):
            raise Permanent(
                "push-not-allowed",
                f"this credential only reads {scope.name}",
                cause="images are pushed by steps that build them, and deleted by Danube",
                hint='step.build_image(destination="…")',
            )
        if "push" in scope.actions:
            self.check_push(job, scope.name)
        return scope

    def _may_push(self, credential: RegistryCredential) -> bool:
        return credential.kind is CredentialKind.PUSH


def _ended(credential: RegistryCredential) -> Forbidden:
    what = f"job {credential.job_id} has ended, and its credential with it"
    return Forbidden("job-not-active", what, hint="see: danube jobs")
