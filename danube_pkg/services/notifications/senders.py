"""Sends each kind of notification: commit status, mail, chat, signed webhook. Reads the secrets that these need."""

from collections.abc import Mapping

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import NotFound, Permanent, Unauthenticated
from danube_pkg.core.http_responses import refusal
from danube_pkg.core.notifications.commit_statuses import commit_status
from danube_pkg.core.notifications.messages import chat, document, mail
from danube_pkg.core.notifications.outbox import OutboxEntry, OutboxKind
from danube_pkg.core.notifications.ports import Mail, OutboundHttp
from danube_pkg.core.repositories.ports import CommitStatuses
from danube_pkg.core.triggers.webhooks.signatures import signing_key, standard_signature
from danube_pkg.kit.clock import Clock
from danube_pkg.services.notifications.outbox import Send
from danube_pkg.services.secrets import Secrets

JSON = {"Content-Type": "application/json"}


class Notifiers:
    """One sender for each kind. external_url: the start of links in messages."""

    def __init__(
        self,
        applied: AppliedConfiguration,
        external_url: str,
        secrets: Secrets,
        statuses: CommitStatuses,
        http: OutboundHttp,
        mail_server: Mail,
        clock: Clock,
    ) -> None:
        self._applied = applied
        self._external_url = external_url
        self._secrets = secrets
        self._statuses = statuses
        self._http = http
        self._mail = mail_server
        self._clock = clock

    def senders(self) -> Mapping[OutboxKind, Send]:
        """The senders by kind, for the outbox."""
        return {
            OutboxKind.STATUS: self._status,
            OutboxKind.EMAIL: self._email,
            OutboxKind.SLACK: self._slack,
            OutboxKind.WEBHOOK: self._webhook,
        }

    async def _status(self, entry: OutboxEntry) -> None:
        notification = entry.notification
        try:
            await self._statuses.publish(
                notification.repository, notification.commit_sha, commit_status(notification, self._external_url)
            )
        except Permanent as error:
            raise _retried_if_unset(error) from error

    async def _email(self, entry: OutboxEntry) -> None:
        server = self._applied.config.smtp
        if server is None:
            raise NotFound(
                "mail-server-unknown", "the configuration no longer names a mail server", hint="in config.yaml: smtp"
            )
        password = await self._secret(server.password_secret, "smtp") if server.password_secret else b""
        receivers = tuple(entry.address["to"])
        message = mail(entry.notification, server.sender, receivers, self._external_url, recovered=entry.recovered)
        await self._mail.send(server, password.decode("utf-8", "replace"), message)

    async def _slack(self, entry: OutboxEntry) -> None:
        key = entry.address["url_secret"]
        url = (await self._secret(key, "a notification")).decode("utf-8", "replace").strip()
        if not url.startswith(("https://", "http://")):
            raise Unauthenticated(
                "receiver-refused", f"the secret {key!r} is not a URL", hint=f"set it again: danube secrets set {key}"
            )
        body = chat(entry.notification, self._external_url, recovered=entry.recovered)
        await self._post(f"the webhook in the secret {key!r}", url, JSON, body)

    async def _webhook(self, entry: OutboxEntry) -> None:
        """Signed as specified by https://www.standardwebhooks.com; each retry has the same id."""
        url, secret = entry.address["url"], await self._secret(entry.address["signing_secret"], "a notification")
        body = document(entry.notification, self._external_url, recovered=entry.recovered)
        message_id, timestamp = f"msg_{entry.notification.job_id}_{entry.id}", int(self._clock.now())
        headers = {
            **JSON,
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": standard_signature(signing_key(secret) or secret, message_id, timestamp, body),
        }
        await self._post(url, url, headers, body)

    async def _post(self, name: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        answer = await self._http.send(name, url, headers, body)
        now = self._clock.now()
        error = refusal(answer.status, answer.headers, answer.body, now, name=name, kind="receiver")
        if error is not None:
            raise error

    async def _secret(self, key: str, user: str) -> bytes:
        try:
            return await self._secrets.read_for_server(key, user)
        except Permanent as error:
            raise _retried_if_unset(error) from error


def _retried_if_unset(error: Permanent) -> Permanent:
    """For a secret that is not set, an error that the outbox retries: once it is set, the same delivery succeeds."""
    if error.reference != "secret-not-set":
        return error
    return Unauthenticated(error.reference, error.what, cause=error.cause, hint=error.hint)
