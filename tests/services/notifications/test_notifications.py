"""Notifications as their receivers see them: real mail server, chat webhook, signed webhook; each occasion."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook

from danube_pkg.adapters.mail.smtp import SmtpMail
from danube_pkg.core.configuration.config import SmtpSpec
from danube_pkg.core.configuration.notifications import (
    EmailNotification,
    Notification,
    Occasion,
    SlackNotification,
    WebhookNotification,
)
from danube_pkg.core.configuration.pipelines import TriggerKind
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.core.reasons import Reason
from danube_pkg.core.repositories.revisions import Revision
from danube_pkg.core.triggers.webhooks.events import Push
from danube_pkg.services.notifications.outbox import Outbox
from tests.services.notifications.forges import Answer, served_receiver
from tests.services.notifications.sending import (
    EXTERNAL_URL,
    all_sent,
    open_sending,
    outcomes,
)
from tests.services.repositories.test_commit_statuses import advance, wait_for_condition
from tests.support.rsa_keys import rsa_key
from tests.support.trigger_server import (
    REPOSITORY,
    SHA,
    TriggerServer,
    a_pipeline,
)

GREEN, RED = ev.Finished(), ev.Finished(ev.ScriptFailure(Reason.SCRIPT_ERROR, "ValueError: <broken> & more"))
CLOSING = (ev.StepsStopped(), ev.LogClosed({}), ev.ProvenanceSigned(b"{}", "key"), ev.PodDeleted())
SECRET = b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


async def ended(danube: TriggerServer, end: ev.JobEvent, delivery: str, branch: str = "main") -> Job:
    """A push to that branch, and its job after it has ended."""
    await danube.receive(Push(REPOSITORY, branch, SHA, "alice"), delivery)
    job = (await danube.jobs())[-1]
    return await advance(danube, job, ev.Admitted("pod"), ev.PodReady(0), end, *CLOSING)


async def configured(danube: TriggerServer, notification: Notification, **config: Any) -> None:
    await danube.configure(a_pipeline("app", TriggerKind.PUSH, notifications=(notification,)), **config)
    await danube.secret("signing", SECRET)


@pytest.mark.parametrize(
    ("when", "statuses"),
    [
        ((Occasion.FAILURE,), ["failure", "failure"]),
        ((Occasion.RECOVERY,), ["success"]),
        ((Occasion.FAILURE, Occasion.RECOVERY), ["failure", "failure", "success"]),
        ((Occasion.ALWAYS,), ["success", "failure", "failure", "success", "success"]),
    ],
)
async def test_occasions(tmp_path: Path, when: tuple[Occasion, ...], statuses: list[str]) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        await configured(danube, WebhookNotification(f"{receiver.url}", "signing", when))
        for number, end in enumerate([GREEN, RED, RED, GREEN, GREEN]):
            await ended(danube, end, f"d{number}")
            await all_sent(danube)
        assert [one["status"] for one in receiver.documents] == statuses
        # The first success has no job before it, the second follows failures, the third a success.
        successes = [one["recovered"] for one in receiver.documents if one["status"] == "success"]
        assert successes == {1: [True], 3: [False, True, False]}.get(len(successes), [])
        assert not any(one["recovered"] for one in receiver.documents if one["status"] == "failure")


async def test_a_recovery_counts_for_its_own_branch(tmp_path: Path) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        await configured(danube, WebhookNotification(receiver.url, "signing", (Occasion.RECOVERY,)))
        await ended(danube, RED, "d1", "topic")
        await ended(danube, GREEN, "d2", "main")
        await all_sent(danube)
        assert receiver.documents == []
        await ended(danube, GREEN, "d3", "topic")
        await all_sent(danube)
        assert [one["ref"] for one in receiver.documents] == ["refs/heads/topic"]


@pytest.mark.parametrize("ref", ["main", "HEAD", "refs/heads/main", "refs/tags/main"])
async def test_a_manual_start_recovers_a_branch_by_any_of_its_names(tmp_path: Path, ref: str) -> None:
    """Only a tag of that name does not, and a cancelled job in between changes nothing."""
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        await configured(danube, WebhookNotification(receiver.url, "signing", (Occasion.RECOVERY,)))
        await ended(danube, RED, "d1")
        await danube.receive(Push(REPOSITORY, "main", SHA, "alice"), "d2")
        await danube.engine.cancel((await danube.jobs())[-1].id, "alice")
        named = Revision(SHA, ref, tag="main") if "tags" in ref else Revision(SHA, ref, branch="main")
        pipeline = await danube.pipelines.load_pipeline("app")
        assert pipeline is not None
        job = await danube.engine.submit(pipeline, Trigger("manual", "alice", named))
        await advance(danube, job, ev.Admitted("pod"), ev.PodReady(0), GREEN, *CLOSING)
        await all_sent(danube)
        assert [one["ref"] for one in receiver.documents] == ([] if "tags" in ref else ["refs/heads/main"])


async def test_the_servers_notifications_apply_to_every_pipeline_and_each_receiver_gets_one(
    tmp_path: Path,
) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        notification = WebhookNotification(receiver.url, "signing", (Occasion.ALWAYS,))
        await configured(danube, notification, notifications=(notification,))
        await ended(danube, GREEN, "d1")
        await all_sent(danube)
        assert len(receiver.documents) == 1


async def test_a_webhook_is_signed_as_an_independent_implementation_verifies_it(tmp_path: Path) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        await configured(danube, WebhookNotification(receiver.url, "signing", (Occasion.ALWAYS,)))
        receiver.answers = [Answer(500)]
        danube.clock.move_to(datetime.now(UTC).timestamp())
        job = await ended(danube, RED, "d1")
        await all_sent(danube, move=1)
        (first, _), (again, body) = receiver.got
        assert first["webhook-id"] == again["webhook-id"], "a receiver recognises a retry by its id"
        document = Webhook(SECRET.decode()).verify(body, dict(again))
        assert (document["job"], document["status"], document["url"]) == (
            job.id,
            "failure",
            f"{EXTERNAL_URL}/jobs/{job.id}",
        )


async def test_a_chat_message_has_one_line_and_the_cause_and_a_branch_name_mentions_no_user(tmp_path: Path) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, outbox):
        await configured(danube, SlackNotification("chat", (Occasion.FAILURE,)))
        await danube.secret("chat", receiver.url.encode())
        job = await ended(danube, RED, "d1", "fix/<!channel>&co")
        await all_sent(danube)
        (document,) = receiver.documents
        first, second = document["text"].split("\n")
        assert first == f":x: <{EXTERNAL_URL}/jobs/{job.id}|app failed on fix/&lt;!channel&gt;&amp;co>"
        assert second == "ValueError: &lt;broken&gt; &amp; more"
        receiver.answers = [Answer(404, "no_service")]
        await ended(danube, RED, "d2")
        await wait_for_condition(outbox)
        assert "secret-part" not in (await outbox.conditions())[0].what, "the address is a secret"


async def test_a_receiver_gets_notifications_in_order_also_after_failures(tmp_path: Path) -> None:
    async with served_receiver() as receiver, open_sending(tmp_path) as (danube, _):
        await configured(danube, WebhookNotification(receiver.url, "signing", (Occasion.ALWAYS,)))
        receiver.answers = [Answer(503), Answer(429, "", {"Retry-After": "7"}), Answer(500)]
        jobs = [await ended(danube, GREEN, f"d{number}") for number in range(4)]
        await all_sent(danube, move=1)
        arrived = list(dict.fromkeys(one["job"] for one in receiver.documents))
        assert arrived == [job.id for job in jobs]


# --- mail


class Mailbox:
    """A handler of aiosmtpd that keeps each mail."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.answers: list[str] = []

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 OK"


def certificate(path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts: the mail server's, and a client's that trusts it."""
    key = rsa_key("a mail server")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = path / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    return serving, ssl.create_default_context(cafile=str(pem))


def check_login(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=data.password == b"mail-password", handled=False)


@asynccontextmanager
async def mail_server(path: Path) -> AsyncIterator[tuple[Mailbox, SmtpSpec, SmtpMail]]:
    """A server that requires STARTTLS and a login: its mailbox, its configuration, and a client that trusts it."""
    serving, trusting = certificate(path)
    box = Mailbox()
    options: dict[str, Any] = {"require_starttls": True, "auth_required": True, "authenticator": check_login}
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, tls_context=serving, **options), "127.0.0.1", 0
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        spec = SmtpSpec(f"localhost:{port}", "danube@example.org", "danube", "mail-password")
        yield box, spec, SmtpMail(trusting)


MAIL = EmailNotification(("alice@example.org", "ops@example.org"), (Occasion.FAILURE, Occasion.RECOVERY))


@asynccontextmanager
async def mailing(path: Path) -> AsyncIterator[tuple[TriggerServer, Outbox, Mailbox, SmtpSpec]]:
    async with mail_server(path) as (box, spec, client), open_sending(path, client) as (danube, outbox):
        await configured(danube, MAIL, smtp=spec)
        await danube.secret("mail-password", b"mail-password")
        yield danube, outbox, box, spec


async def test_a_mail_has_what_failed_the_cause_and_a_link(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (danube, _, box, _spec):
        job = await ended(danube, RED, "d1")
        await ended(danube, GREEN, "d2")
        await all_sent(danube)
        failed, recovered = box.got
        assert failed["Subject"] == "[danube] app failed on main"
        assert recovered["Subject"] == "[danube] app succeeded again on main"
        assert [one.addr_spec for one in failed["To"].addresses] == ["alice@example.org", "ops@example.org"]
        text = failed.get_content()
        assert "ValueError: <broken> & more" in text
        assert "What to try: do what the message says, or fix the line that the traceback names" in text
        assert f"{EXTERNAL_URL}/jobs/{job.id}" in text
        assert failed["Message-ID"] == f"<{job.id}.failure@danube>"


async def test_a_busy_mail_server_is_retried(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (danube, outbox, box, _):
        box.answers = ["451 try later", "452 insufficient storage"]
        await ended(danube, RED, "d1")
        await all_sent(danube, move=1)
        assert (len(box.got), outcomes(danube), (await outbox.conditions())) == (1, ["delivered"], [])


async def test_a_permanently_refused_mail_is_a_condition(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (danube, outbox, box, _):
        box.answers = ["550 no such user"]
        await ended(danube, RED, "d1")
        await all_sent(danube)
        assert outcomes(danube)[0].startswith("refused: ")
        assert "no such user" in (await outbox.conditions())[0].what


async def test_a_wrong_password_is_a_condition_and_after_the_fix_the_mail_arrives(tmp_path: Path) -> None:
    async with mailing(tmp_path) as (danube, outbox, box, _):
        await danube.secret("mail-password", b"wrong password")
        await ended(danube, RED, "d1")
        await wait_for_condition(outbox)
        assert (await outbox.conditions())[0].hint == "set the password again: danube secrets set mail-password"
        await danube.secret("mail-password", b"mail-password")
        await all_sent(danube, move=1)
        assert (len(box.got), (await outbox.conditions())) == (1, [])


async def test_neither_password_nor_mail_goes_to_a_server_without_a_trusted_certificate(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as (box, spec, _), open_sending(tmp_path) as (danube, outbox):
        await configured(danube, MAIL, smtp=spec)
        await danube.secret("mail-password", b"mail-password")
        await ended(danube, RED, "d1")
        await wait_for_condition(outbox)
        assert "certificate verify failed" in (await outbox.conditions())[0].what
        assert box.got == []


async def test_without_tls_mail_stays_on_this_machine(tmp_path: Path) -> None:
    async with open_sending(tmp_path) as (danube, outbox):
        spec = SmtpSpec("mail.example.org:25", "danube@example.org", tls=False)
        await configured(danube, MAIL, smtp=spec)
        await ended(danube, RED, "d1")
        await all_sent(danube)
        assert (await outbox.conditions())[0].hint == "remove tls: false"
        assert outcomes(danube)[0].startswith("refused: ")
