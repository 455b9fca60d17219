"""Secrets: users set, remove and list them, active jobs read them, and logs mask their values."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from weakref import WeakValueDictionary

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Forbidden, Invalid, NotFound, Permanent
from danube_pkg.core.identity.audit import AuditEvent
from danube_pkg.core.jobs.environment_approvals import granted_environments
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.logs.clear_text import Stored, clear_texts, masked_record, masked_text
from danube_pkg.core.logs.redaction import Patterns, ValueSet, redact_text
from danube_pkg.core.logs.token_formats import TOKEN_FORMATS
from danube_pkg.core.secrets.outside import OutsideSecrets
from danube_pkg.core.secrets.ports import SecretCipher, SecretStore
from danube_pkg.core.secrets.secret import (
    SecretName,
    SecretRead,
    StoredSecret,
    check_key,
    check_value,
)
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.outside_secrets import OutsidePlaces, TokenOf

_log = EventLog("danube.secrets")


@cache
def _token_formats() -> ValueSet:
    """Tokens of forges and others, which the server may quote from answers; compiled with the first line of a log."""
    return ValueSet((), TOKEN_FORMATS)


class KnownValues:
    """The compiled values that this process masks in its own log: those that something still holds.

    Logs of jobs hold the sets that they mask, so a value is dropped with the last job that could print it. What the
    server uses itself is held here: by name until it is replaced or removed, or until the process ends (`add`).
    """

    def __init__(self) -> None:
        self._sets: WeakValueDictionary[frozenset[bytes], ValueSet] = WeakValueDictionary()
        self._held: dict[str, ValueSet] = {}

    async def compiled(self, values: Iterable[bytes]) -> ValueSet:
        """The set of these values, compiled in a thread once for all who hold it."""
        wanted = frozenset(values)
        found = self._sets.get(wanted)
        if found is None:
            made = await asyncio.to_thread(ValueSet, wanted)
            found = self._sets.setdefault(wanted, made)
        return found

    async def hold(self, name: str, value: bytes) -> None:
        """Hold a value in place of the one of that name."""
        held = self._held.get(name)
        if held is None or held.values != {value}:
            self._held[name] = await self.compiled([value])

    def release(self, name: str) -> None:
        self._held.pop(name, None)

    def add(self, *values: bytes) -> None:
        """Hold a few values as long as the process runs."""
        for value in values:
            held = self._sets.setdefault(frozenset([value]), ValueSet([value]))
            self._held[f"process:{len(self._held)}"] = held

    @property
    def size_bytes(self) -> int:
        """Bytes of the values that are held, by logs of jobs or here."""
        sets = [one for reference in self._sets.valuerefs() if (one := reference()) is not None]
        return sum(len(value) for one in sets for value in one.values)

    def redact(self, text: str) -> str:
        """A line of this process's log without the values, tokens of known formats and e-mail addresses."""
        sets = [one for reference in self._sets.valuerefs() if (one := reference()) is not None]
        return redact_text(Patterns(sets=[*sets, _token_formats()], mask_emails=True), text)


class Secrets:
    """Stores, decrypts and hands out secrets.

    known: masks the values in this process's log. overrides: values of one run (`danube run --secret`), in
    memory only, which take precedence. applied: names the secrets that the server itself uses (Git credentials,
    webhooks, mail); no job may read those. audit: None for a single run, which has no audit log. places: outside of
    Danube, read for names that it does not have itself.
    """

    def __init__(
        self,
        store: SecretStore,
        cipher: SecretCipher,
        clock: Clock,
        new_id: Callable[[], str],
        known: KnownValues,
        overrides: Mapping[str, bytes] | None = None,
        applied: AppliedConfiguration | None = None,
        audit: Audit | None = None,
        places: Sequence[OutsideSecrets] = (),
    ) -> None:
        self.requests = Tally()
        """Reads by jobs, by pipeline."""
        self._store = store
        self._cipher = cipher
        self._clock = clock
        self._new_id = new_id
        self._outside = OutsidePlaces(places, store, cipher, clock, new_id)
        self.known = known
        self._applied = applied or AppliedConfiguration()
        self._audit = audit
        self._served: set[tuple[str, str]] = set()
        self._overrides = {check_key(key): check_value(value) for key, value in (overrides or {}).items()}
        known.add(*self._overrides.values())

    async def set(self, name: SecretName, value: bytes, actor: str) -> None:
        """Store a value, encrypted. Raises Invalid for one that could not be masked, TooLarge."""
        check_key(name.key)
        check_value(value)
        held = await self.known.compiled([value])  # in case that a failure below quotes it
        secret_id, now = self._new_id(), self._clock.now()
        encrypted = self._cipher.encrypt_secret(secret_id, name, value)
        await self._store.put_secret(StoredSecret(secret_id, name, encrypted, now, now))
        del held
        self._served = {(key, user) for key, user in self._served if key != name.key}
        _log.info("secret-set", name=str(name), actor=actor)

    async def delete(self, name: SecretName, actor: str) -> bool:
        removed = await self._store.delete_secret(name, self._clock.now())
        if name.pipeline is None:
            self.known.release(name.key)
        _log.info("secret-removed", name=str(name), actor=actor, existed=removed)
        return removed

    async def list(self, pipeline: str | None) -> Sequence[StoredSecret]:
        return await self._store.list_secrets(pipeline)

    async def last_read(self, name: SecretName) -> SecretRead | None:
        """The last read by a job; reads by the server itself do not count."""
        return await self._store.last_read(name)

    def is_for_server(self, name: SecretName) -> bool:
        """Whether the configuration names it for the server's own use, so that no job may read it."""
        return name.pipeline is None and name.key in self._applied.named_secrets

    async def used_by(self, job_id: str) -> Sequence[str]:
        """Keys of the secrets that a job has read so far."""
        return await self._store.reads_of(job_id)

    async def read_for_job(self, job: Job, sequence: int, key: str, token_of: TokenOf) -> bytes:
        """The pipeline's own value, else the global one; the read is recorded before the value is returned. token_of:
        for places outside of Danube that decide by the job's identity.

        Raises Forbidden for a job of untrusted code, approved or not, for a rebuild that was not given the secret, for
        a secret of an environment that was not approved, and for a secret that the server uses itself.
        """
        self.requests.count(job.pipeline)
        if job.trigger.is_untrusted:
            raise Forbidden(
                "secret-of-untrusted-code",
                f"untrusted code may not read the secret {key!r}",
                cause="its author could send the value anywhere",
                hint="run what needs secrets after the merge: if ctx.pull_request is None: …",
            )
        _check_rebuild(job, key)
        _check_environment(job, key)
        if key in self._overrides:
            return self._overrides[key]
        names = [SecretName(job.pipeline, key), SecretName(None, key)]
        for name in names[:1] if key in self._applied.named_secrets else names:
            stored = await self._store.load_secret(name)
            outside = await self._outside.read_for_job(job, name, token_of) if stored is None else None
            if stored is not None or outside is not None:
                if await self._store.record_read(job.id, sequence, name, self._clock.now()):
                    await self._audit_read(job, name)
                return self._cipher.decrypt_secret(stored) if stored is not None else outside or b""
        if key in self._applied.named_secrets:
            raise Forbidden(
                "secret-reserved",
                f"the secret {key!r} is reserved for the server: its configuration names it",
                hint="set the job's secret under another name",
            )
        raise NotFound(
            "secret-not-set",
            f"there is no secret {key!r} for pipeline {job.pipeline!r}",
            hint=f"danube secrets set {key} --pipeline {job.pipeline}   (with danube run: --secret {key}=@FILE)",
        )

    async def _audit_read(self, job: Job, name: SecretName) -> None:
        """Called once for each call in a danubefile, however often the coordinator repeats it."""
        if self._audit is not None:
            details = {
                "pipeline": job.pipeline,
                "commit": job.trigger.revision.commit_sha,
                "trigger": job.trigger.actor,
            }
            await self._audit.record(AuditEvent(0.0, f"job {job.id}", "read-secret", str(name), details=details))

    async def read_for_server(self, key: str, user: str) -> bytes:
        """A global value that the configuration names. user: what needs it, for messages. Raises Permanent if unset."""
        if key in self._overrides:
            return self._overrides[key]
        stored = await self._store.load_secret(SecretName(None, key))
        outside = await self._outside.read_for_server(SecretName(None, key)) if stored is None else None
        if stored is None and outside is None:
            raise Permanent(
                "secret-not-set",
                f"{user} needs the secret {key!r}, which is not set",
                hint=f"danube secrets set {key}",
            )
        await self._audit_use(key, user)
        value = self._cipher.decrypt_secret(stored) if stored is not None else outside or b""
        await self.known.hold(key, value)
        return value

    async def _audit_use(self, key: str, user: str) -> None:
        """Records each value once for each purpose: the server reads secrets with every fetch and delivery."""
        if self._audit is not None and (key, user) not in self._served:
            self._served.add((key, user))
            await self._audit.record(AuditEvent(0.0, "server", "read-secret", key, details={"for": user}))

    async def values_to_mask(self, pipeline: str) -> Sequence[bytes]:
        """Every value that a job of this pipeline could have read, retired values included.

        A value that cannot be decrypted could not be read by any job either: it is logged and left out.
        """
        return self._decrypted(await self._store.maskable_secrets(pipeline))

    def _decrypted(self, stored: Iterable[StoredSecret]) -> Sequence[bytes]:
        found = list(self._overrides.values())
        for secret in stored:
            try:
                found.append(self._cipher.decrypt_secret(secret))
            except Permanent as error:
                _log.error("secret-not-masked", name=str(secret.name), cause=str(error))
        return found

    async def masked(self, record: Stored) -> Stored:
        """What is stored of a delivery or a commit: a record in whose texts each clear value is masked, whichever
        pipeline's it is."""
        values = self._decrypted(await self._store.every_secret())
        return await asyncio.to_thread(lambda: masked_record(record, clear_texts(values)))

    async def refuse_clear(self, texts: Mapping[str, str]) -> None:
        """Raises Invalid for a text of a request that holds a clear value. Keys name the texts: `the ref`."""
        secrets = await asyncio.to_thread(clear_texts, self._decrypted(await self._store.every_secret()))
        for what, text in texts.items():
            if masked_text(text, secrets) != text:
                raise Invalid(
                    "name-holds-secret",
                    f"{what} holds a secret",
                    cause="it would be stored and shown in clear",
                    hint="leave it out, and let the danubefile read it: secrets.get(NAME)",
                )

    async def forget_retired(self, before: float) -> None:
        """Delete values that were replaced before that time (Unix seconds); jobs from before it must have ended."""
        count = await self._store.forget_retired_secrets(before)
        if count:
            _log.info("secrets-forgotten", count=count)


def _check_rebuild(job: Job, key: str) -> None:
    """Raises Forbidden for a rebuild that was not given this secret."""
    rebuild = job.trigger.rebuild
    if rebuild is not None and key not in rebuild.secrets:
        raise Forbidden(
            "secret-of-rebuild",
            f"the rebuild may not read the secret {key!r}",
            cause="a rebuild gets no secret that it was not given: with one it could publish what it builds",
            hint=f"danube rebuild {rebuild.job} --with-secrets {key}",
        )


def _check_environment(job: Job, key: str) -> None:
    """Raises Forbidden for the secret of an environment that the job has no approval of. One step alone of a run of the
    user's own asks for no approval of what is left out."""
    if job.settings.approved_locally and job.settings.only_step:
        return
    environment = job.settings.environment_of(key)
    if environment and environment not in granted_environments(job.approvals):
        raise Forbidden(
            "secret-of-environment",
            f"the secret {key!r} is one of the environment {environment!r}, which was not approved for this job",
            hint=f'ask for it first: approval("{environment}")',
        )
