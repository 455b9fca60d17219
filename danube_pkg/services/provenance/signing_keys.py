"""The signing keys of a server whose database knows the current one, so that a lost or replaced key is noticed."""

from collections.abc import Sequence

from danube_pkg.core.jobs.ports import ServerState
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.provenance.ports import SigningKeyRing

SIGNING_KEY_STATE = "signing-key"
"""The name under which the server's state has the id of the current key."""


class KnownSigningKeys:
    """`core.provenance.ports.SigningKeyRing`."""

    def __init__(self, ring: SigningKeyRing, state: ServerState) -> None:
        self._ring = ring
        self._state = state

    def public_keys(self) -> Sequence[SigningKey]:
        return self._ring.public_keys()

    async def rotate(self) -> SigningKey:
        key = await self._ring.rotate()
        await self._state.remember(SIGNING_KEY_STATE, key.id)
        return key
