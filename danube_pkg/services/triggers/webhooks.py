"""Receives webhook deliveries: checks headers, signature and repository, then puts them into the inbox."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.errors import Forbidden, Permanent, PlatformError, Unauthenticated
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.inbox import describe_event
from danube_pkg.core.triggers.managed_hooks import ManagedHook
from danube_pkg.core.triggers.webhooks.deliveries import WebhookDelivery, check_forge, parse_delivery, signed_body
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Ping,
    PullRequest,
    Push,
    TagDeleted,
    TagPush,
    UnreadableEvent,
    WebhookEvent,
    WebhookRepository,
)
from danube_pkg.core.triggers.webhooks.signatures import check_signature
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.records import Record, replace
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.triggers.hook_setup import HookSetup
from danube_pkg.services.triggers.inbox import Inbox

FORGET_SECONDS = 86400.0
"""An older refusal is not shown: an unauthenticated client can cause one, which no later delivery may end."""

_log = EventLog("danube.hooks")


class Received(Record):
    """The result of a delivery. is_new: it was not received before; is_meant: its type of event may start jobs;
    has_pipeline: a pipeline, or the configuration, is of its repository."""

    id: str
    is_new: bool = True
    is_meant: bool = True
    is_ping: bool = False
    has_pipeline: bool = True


class _Refused(Record):
    """A forge's newest deliveries, all of which were refused.

    since, at: when the first and the last one came, in Unix seconds; error: why the last one was refused.
    """

    since: float
    count: int
    at: float
    error: PlatformError


class Webhooks:
    """The way from a forge's HTTP request to the inbox.

    is_configuration: whether a URL names the configuration repository.
    """

    def __init__(
        self,
        applied: AppliedConfiguration,
        secrets: Secrets,
        triggers: Inbox,
        clock: Clock,
        is_configuration: Callable[[str], bool],
        managed: HookSetup | None = None,
    ) -> None:
        self._applied = applied
        self._secrets = secrets
        self._triggers = triggers
        self._clock = clock
        self._is_configuration = is_configuration
        self._managed = managed
        self._refused: dict[Forge, _Refused] = {}

    async def receive(self, forge: Forge, headers: Mapping[str, str], body: bytes, marker: str = "") -> Received:
        """On disk when this returns, whatever is in it. Raises Unauthenticated, Invalid for one that cannot be read,
        Forbidden for one of another repository than its webhook.

        marker: of a webhook that this server made, which has a secret of its own. The content is parsed, and the answer
        depends on repositories, only after the signature was found valid.
        """
        check_forge(forge, headers)
        hook = await self._check_signature(forge, headers, body, marker)
        delivery = await self._masked(parse_delivery(forge, headers, body))
        if hook is not None and not _is_of(delivery.event, hook):
            raise Forbidden(
                "hook-of-another-repository",
                f"this webhook was made for {hook.repository}, and the delivery is of another repository",
                hint="add a webhook with a secret that config.yaml names; see docs/triggers.md",
            )
        new = await self._triggers.receive(delivery)
        what = describe_event(delivery.event)
        _log.info("hook-received", forge=forge, delivery=delivery.id, what=what, new=new)
        if delivery.refused is not None:
            raise delivery.refused
        match delivery.event:
            case Ping():
                return Received(delivery.id, is_ping=True)
            case Ignored() | UnreadableEvent():
                return Received(delivery.id, is_meant=False)
            case event:
                return Received(delivery.id, is_new=new, has_pipeline=self._has_pipeline(event.repository))

    async def _masked(self, delivery: WebhookDelivery) -> WebhookDelivery:
        """As it is stored: without clear values of secrets. The repository of a pipeline stays as it is, since it is
        what events are matched by, and the configuration has it in clear."""
        event = await self._secrets.masked(delivery.event)
        if not isinstance(delivery.event, Ping | Ignored | UnreadableEvent):
            repository = delivery.event.repository
            if self._has_pipeline(repository) and not isinstance(event, Ping | Ignored | UnreadableEvent):
                event = replace(event, repository=repository)
        return replace(delivery, event=event)

    async def conditions(self) -> Sequence[Condition]:
        """Forges whose newest deliveries were refused."""
        shown = [(forge, self._last_refused(forge)) for forge in Forge]
        return [_condition(forge, one, self._names(forge), self._applied) for forge, one in shown if one is not None]

    def _last_refused(self, forge: Forge) -> _Refused | None:
        found = self._refused.get(forge)
        return found if found is not None and self._clock.now() - found.at < FORGET_SECONDS else None

    async def _check_signature(
        self, forge: Forge, headers: Mapping[str, str], body: bytes, marker: str
    ) -> ManagedHook | None:
        """The webhook that this server made; None for one that is signed with a secret of config.yaml."""
        own = await self._managed.secret_of(forge, marker) if marker and self._managed is not None else None
        try:
            signed = signed_body(forge, headers, body)
            values = [own[1]] if own is not None else await self._secret_values(forge)
            check_signature(forge, headers, signed, values, self._clock.now())
        except Unauthenticated as error:
            if own is not None and self._managed is not None:
                self._managed.doubt(own[0])
            self._note_refused(forge, error)
            raise
        self._refused.pop(forge, None)
        return own[0] if own is not None else None

    def _note_refused(self, forge: Forge, error: PlatformError) -> None:
        now, before = self._clock.now(), self._last_refused(forge)
        since, count = (before.since, before.count + 1) if before is not None else (now, 1)
        self._refused[forge] = _Refused(since, count, now, error)
        if (
            count & (count - 1) == 0
        ):  # the first, the second, the fourth …: unauthenticated clients must not fill the log
            _log.warning("hook-refused", forge=forge, reference=error.reference, in_a_row=count, hint=error.hint)

    def _has_pipeline(self, repository: WebhookRepository) -> bool:
        return self._triggers.is_known(repository) or any(map(self._is_configuration, repository.urls))

    async def _secret_values(self, forge: Forge) -> list[bytes]:
        """The secrets that are set; the others are conditions of the configuration already."""
        found = []
        for key in self._names(forge):
            try:
                found.append(await self._secrets.read_for_server(key, f"webhooks of {forge}"))
            except Permanent as error:
                _log.debug("hook-secret-missing", forge=forge, cause=str(error))
        return found

    def _names(self, forge: Forge) -> Sequence[str]:
        """The names of the secrets that the configuration has for a forge."""
        return [key for webhook in self._applied.config.webhooks if webhook.forge is forge for key in webhook.secrets]


def _is_of(event: WebhookEvent, hook: ManagedHook) -> bool:
    """Whether a delivery may be of a webhook's repository; one that names none is."""
    if isinstance(event, Push | TagPush | BranchDeleted | TagDeleted | PullRequest):
        return hook.is_of(event.repository)
    return True


def _condition(forge: Forge, refused: _Refused, names: Sequence[str], applied: AppliedConfiguration) -> Condition:
    """names: the secrets of the forge in the applied configuration."""
    since = datetime.fromtimestamp(refused.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
    what = f"webhooks of {forge} have been refused since {since}: {refused.error} ({refused.count} in a row)"
    if applied.revision.at is None and not applied.state.pipelines:
        what = f"{what}: no configuration is applied yet, so that no secret is known"
        return Condition("hooks-refused", what, "danube config status says why; then deliver them again at the forge")
    if names and applied.revision.at is not None and refused.at < applied.revision.at:
        what = f"{what}; the configuration was applied after that"
        return Condition(
            "hooks-refused", what, "deliver them again at the forge; a delivery that is accepted ends this"
        )
    if not names:
        return Condition(
            "hooks-refused",
            f"{what}, and config.yaml names no secret for {forge}",
            f"danube secrets set NAME, and in config.yaml: webhooks: [{{forge: {forge}, secrets: [NAME]}}]",
        )
    return Condition("hooks-refused", what, f"set the same value here and at the forge: danube secrets set {names[-1]}")
