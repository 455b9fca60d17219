"""A webhook's way in: is it of that forge, is it authentic, what does it say, is it of a repository that is known; then the inbox."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from danube_pkg.core.configuration.server import ConfigSpec, Forge
from danube_pkg.core.errors import NotFound, Permanent
from danube_pkg.core.hooks.deliveries import check_forge, parse_delivery
from danube_pkg.core.hooks.events import HookRepository, Ignored, Ping
from danube_pkg.core.hooks.signatures import check_signature
from danube_pkg.core.ports import Clock
from danube_pkg.services.secrets import Secrets
from danube_pkg.services.triggers import Triggers

_log = logging.getLogger("danube.hooks")


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a delivery. is_new: it was not known before; is_meant: something may follow from it."""

    id: str
    is_new: bool = True
    is_meant: bool = True
    is_ping: bool = False


class Hooks:
    """config: asked each time. is_configuration: whether a repository is the configuration's own."""

    def __init__(
        self,
        config: Callable[[], ConfigSpec],
        secrets: Secrets,
        triggers: Triggers,
        clock: Clock,
        is_configuration: Callable[[str], bool],
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._triggers = triggers
        self._clock = clock
        self._is_configuration = is_configuration

    async def receive(self, forge: Forge, headers: Mapping[str, str], body: bytes) -> Received:
        """On disk when this returns. Raises Invalid, Unauthenticated, and NotFound for a repository of no pipeline.

        Nothing is parsed, and nothing said of repositories, before the signature is good.
        """
        check_forge(forge, headers)
        check_signature(forge, headers, body, await self._secret_values(forge), self._clock.now())
        delivery = parse_delivery(forge, headers, body)
        match delivery.event:
            case Ping():
                return Received(delivery.id, is_ping=True)
            case Ignored(what=what):
                _log.debug("hook-ignored", extra={"fields": {"forge": forge, "delivery": delivery.id, "event": what}})
                return Received(delivery.id, is_meant=False)
        self._check_known(delivery.event.repository)
        new = await self._triggers.receive(delivery)
        fields = {"forge": forge, "delivery": delivery.id, "event": type(delivery.event).__name__, "new": new}
        _log.info("hook-received", extra={"fields": {**fields, "repository": delivery.event.repository.name}})
        return Received(delivery.id, is_new=new)

    def _check_known(self, repository: HookRepository) -> None:
        if self._triggers.is_known(repository) or any(map(self._is_configuration, repository.urls)):
            return
        raise NotFound(
            "repository-unknown",
            f"no pipeline is of the repository {repository.name}",
            hint="add a pipeline with this repository to the configuration, or remove the webhook",
        )

    async def _secret_values(self, forge: Forge) -> list[bytes]:
        """Those that are set; the others are conditions of the configuration already."""
        found = []
        for webhook in self._config().webhooks:
            for key in webhook.secrets if webhook.forge is forge else ():
                try:
                    found.append(await self._secrets.read_for_server(key, f"webhooks of {forge}"))
                except Permanent as error:
                    _log.warning("hook-secret-missing", extra={"fields": {"forge": forge, "cause": str(error)}})
        return found
