"""Configuration and credentials of registries.

The configured credentials of a registry take precedence over those that `docker login` has stored on this machine.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.ports import RegistryLogins
from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistryCredentials, RegistrySpec, spec_of

SecretOf = Callable[[str, str], Awaitable[bytes]]
"""A secret's value by its key. The second argument names its user in messages. Raises Permanent if it is not set."""


class Registries:
    """`core.images.ports.RegistryAccess`. specs: returns the currently configured registries. own: credentials that the
    server itself has issued, by host."""

    def __init__(
        self,
        specs: Callable[[], Sequence[RegistrySpec]],
        secret_of: SecretOf,
        logins: RegistryLogins,
        own: Mapping[str, RegistryCredentials] = MappingProxyType({}),
    ) -> None:
        self.specs = specs
        self._own = own
        self._secret_of = secret_of
        self._logins = logins

    async def credentials(self, host: str) -> RegistryCredentials | None:
        """Raises ImageUnavailable if the configuration names a secret that is not set."""
        if host in self._own:
            return self._own[host]
        spec = spec_of(host, self.specs())
        if not spec.password_secret:
            return await self._logins.credentials(host)
        try:
            value = await self._secret_of(spec.password_secret, f"registry {host}")
        except Permanent as error:
            raise ImageUnavailable(error.what, cause=error.cause, hint=error.hint) from error
        return RegistryCredentials(spec.username, value.decode(errors="replace"))
