"""How registries are reached and with what: the rules of the configuration, Danube's secrets, and what people logged in to.

A rule's own credentials come first. Those that `docker login` has kept on this machine serve everybody else.
"""

from collections.abc import Awaitable, Callable, Sequence

from danube_pkg.core.image_ports import Logins
from danube_pkg.core.images import ImageUnavailable
from danube_pkg.core.registries import Credentials, RegistryRule, rule_for

SecretOf = Callable[[str], Awaitable[bytes | None]]
"""The value of a secret that every pipeline may read, None where it is not set."""


class RegistryRules:
    """`core.image_ports.RegistryAccess`. rules: those in force now."""

    def __init__(self, rules: Callable[[], Sequence[RegistryRule]], secret_of: SecretOf, logins: Logins) -> None:
        self.rules = rules
        self._secret_of = secret_of
        self._logins = logins

    async def credentials(self, host: str) -> Credentials | None:
        """Raises ImageUnavailable when a rule names a secret that is not set."""
        rule = rule_for(host, self.rules())
        if not rule.password_secret:
            return await self._logins.credentials(host)
        value = await self._secret_of(rule.password_secret)
        if value is None:
            raise ImageUnavailable(
                f"the password for registry {host} is not set",
                cause=f"config.yaml says that it is the secret {rule.password_secret}, which does not exist",
                hint=f"danube secrets set {rule.password_secret}",
            )
        return Credentials(rule.username, value.decode(errors="replace"))
