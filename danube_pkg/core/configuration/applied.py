"""The applied configuration as one object: the configuration sync replaces it, all other parts read it and listen to
it."""

from collections.abc import Callable, Iterable

from danube_pkg.core.configuration.config import ConfigSpec
from danube_pkg.core.configuration.secret_names import named_secrets
from danube_pkg.core.configuration.state import Applied, State

ConfigurationListener = Callable[[], None]


class AppliedConfiguration:
    """Created before all parts that depend on it, from the state in the database.

    own_secrets: keys of secrets that danube.toml reserves for the server, in addition to those that the configuration
    names. Listeners are called after each change, in the order in which they were added; they must be quick and must
    not raise.
    """

    def __init__(
        self, state: State | None = None, revision: Applied | None = None, own_secrets: Iterable[str] = ()
    ) -> None:
        self._own_secrets = frozenset(own_secrets) - {""}
        self._listeners: list[ConfigurationListener] = []
        self._set(state or State(), revision or Applied())

    @property
    def state(self) -> State:
        """Server settings, users, teams and pipelines; empty before the first configuration was applied."""
        return self._state

    @property
    def config(self) -> ConfigSpec:
        """The settings of the whole server."""
        return self._state.config

    @property
    def revision(self) -> Applied:
        """The applied revision, with the time when it was applied."""
        return self._revision

    @property
    def named_secrets(self) -> frozenset[str]:
        """Keys of secrets that the server itself uses; no job may read them."""
        return self._named_secrets

    def listen(self, listener: ConfigurationListener) -> None:
        """Call the listener after each change from now on."""
        self._listeners.append(listener)

    def replace(self, state: State, revision: Applied) -> None:
        """Make another configuration the applied one; it is already stored."""
        self._set(state, revision)
        for listener in self._listeners:
            listener()

    def _set(self, state: State, revision: Applied) -> None:
        self._state = state
        self._revision = revision
        self._named_secrets = self._own_secrets | {one.key for one in named_secrets(state)}
