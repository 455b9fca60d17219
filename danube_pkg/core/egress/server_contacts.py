"""What the server itself may contact on behalf of a job: registries of its images and hosts of its submodules. Pure.

A job names them, so the server must not become its proxy. Hosts that the configuration names are the operator's
choice, with whatever addresses they have. Any other must be allowed by the job's own allowlist, at each hop: a
redirect, and the token service of a registry, are decided like the first request.
"""

from collections.abc import Collection

from danube_pkg.core.egress.addresses import Address, AddressKind, kind_of
from danube_pkg.core.egress.policy import Decision, EgressReason, EgressTarget, Policy, Verdict

CONFIGURED = Decision(Verdict.ALLOWED, EgressReason.CONFIGURED)


class ServerReach:
    """The decisions for one use of the network.

    configured: (host, port) of the servers that the configuration names. policy: the job's allowlist; None where the
    first server is configured: it may then send the client to public addresses, and to its own host.
    """

    def __init__(self, configured: Collection[tuple[str, int]], policy: Policy | None) -> None:
        self._configured = frozenset(configured)
        self._hosts = frozenset(host for host, _ in configured)
        self._policy = policy

    @property
    def starts_configured(self) -> bool:
        """Whether the first server is one of the configuration, so that messages may say why it was not reached."""
        return self._policy is None

    def decide_target(self, target: EgressTarget) -> Decision:
        """Decides before a name is resolved."""
        if self._is_configured(target):
            return CONFIGURED
        if self._policy is not None:
            return self._policy.decide_target(target)
        return CONFIGURED if target.address is None else _public_only(target.address, own=False)

    def decide_address(self, target: EgressTarget, address: Address, *, own: bool) -> Decision:
        """Decides by an address of a target that is allowed. own: the address is one of this machine."""
        if self._is_configured(target):
            return CONFIGURED
        if self._policy is not None:
            return self._policy.decide_address(target, address, own=own)
        return _public_only(address, own=own)

    def _is_configured(self, target: EgressTarget) -> bool:
        own_host = self._policy is None and target.host in self._hosts
        return own_host or (target.host, target.port) in self._configured


def _public_only(address: Address, *, own: bool) -> Decision:
    kind = kind_of(address)
    if kind is AddressKind.PUBLIC and not own:
        return CONFIGURED
    return Decision(
        Verdict.REFUSED, EgressReason(f"{AddressKind.OWN if own and kind is AddressKind.PUBLIC else kind}-address")
    )
