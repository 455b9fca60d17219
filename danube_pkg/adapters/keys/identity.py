"""The key of identity tokens, `keys/identity.key`: RSA, PKCS#8 PEM. RSA, since clouds accept no Ed25519 in tokens.

It is made when it is first needed: making it takes up to a second, and few servers need it.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from danube_pkg.adapters.keys.files import check_private, key_missing
from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.ports import ServerState
from danube_pkg.kit.files import write_atomically

IDENTITY_KEY_NAME = "identity.key"
_STATE = "identity-key"
_BITS = 2048
"""What all clouds accept; enough until 2030 (NIST SP 800-57, part 1)."""


class IdentityKeyFile:
    """`core.jobs.ports.IdentityKeys` over a file. directory: `keys/` of the data directory."""

    def __init__(self, directory: Path, state: ServerState) -> None:
        self._path = directory / IDENTITY_KEY_NAME
        self._state = state
        self._key: RSAPrivateKey | None = None
        self._making = asyncio.Lock()

    async def sign_token(self, claims: Mapping[str, Any]) -> str:
        key = await self._opened()
        header = {"alg": "RS256", "kid": _jwk(key)["kid"], "typ": "JWT"}
        signed = f"{_encoded(_compact(header))}.{_encoded(_compact(claims))}"
        signature = await asyncio.to_thread(key.sign, signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{_encoded(signature)}"

    async def key_set(self) -> Mapping[str, Any]:
        return {"keys": [_jwk(await self._opened())]}

    async def _opened(self) -> RSAPrivateKey:
        async with self._making:
            if self._key is None:
                known = await self._state.recall(_STATE)
                if known is not None and not self._path.exists():
                    raise key_missing(self._path, "receivers of identity tokens know its public half")
                key = await asyncio.to_thread(_open, self._path)
                if known is None:
                    await self._state.remember(_STATE, _jwk(key)["kid"])
                self._key = key
            return self._key


def _open(path: Path) -> RSAPrivateKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = generate_private_key(65537, _BITS)
        write_atomically(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    check_private(path, "a user who reads it can act as every job of this server")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path) from error
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(path)
    return key


def _jwk(key: RSAPrivateKey) -> dict[str, str]:
    """The public half (RFC 7518, section 6.3.1); its id is the thumbprint (RFC 7638)."""
    numbers = key.public_key().public_numbers()
    members = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    return {**members, "alg": "RS256", "use": "sig", "kid": _encoded(sha256(_compact(members)).digest())}


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unusable(path: Path) -> Permanent:
    what = f"{path} is not an RSA key in PKCS#8 PEM without a passphrase"
    return Permanent("key-unusable", what, hint=f"restore {path} from a backup, with its owner and mode 0600")
