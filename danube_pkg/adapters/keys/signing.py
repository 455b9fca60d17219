"""The signing key `keys/signing.key` (Ed25519, PKCS#8 PEM), and public halves of retired ones, `keys/history/ID.pem`.

The private key is read by the server's process alone, which runs no code of users. A rotation first writes the old
key's public half to the history and then replaces the key, so that after a crash each key that has signed is known; a
key that is in the history and still current is not retired.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from danube_pkg.adapters.keys.files import check_private
from danube_pkg.core.errors import Permanent
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, Signature, pre_authentication_encoding
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.core.storage_errors import storage_error
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.times import iso

SIGNING_KEY_NAME = "signing.key"
HISTORY_NAME = "history"
_RETIRED = "retired "


class SigningKeys:
    """`core.provenance.ports.Signer` and `SigningKeyRing` over files. directory: `keys/` of the data directory."""

    def __init__(self, directory: Path, private: Ed25519PrivateKey, clock: Clock) -> None:
        self._directory = directory
        self._private = private
        self._clock = clock
        self.current = public_key_of(private.public_key())
        self._retired = self._read_history()

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> "SigningKeys":
        """The keys, created where there is no signing key. Raises Permanent for a file that other users can read or
        that is not such a key."""
        path = directory / SIGNING_KEY_NAME
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(path, _private_pem(Ed25519PrivateKey.generate()))
        return cls(directory, read_private_key(path), clock)

    async def sign(self, data: bytes) -> Signature:
        private, key_id = self._private, self.current.id
        return Signature(key_id, private.sign(data))

    def public_keys(self) -> Sequence[SigningKey]:
        return [self.current, *self._retired]

    async def rotate(self) -> SigningKey:
        retired = SigningKey(self.current.id, self.current.pem, self._clock.now())
        new = Ed25519PrivateKey.generate()
        try:
            self._replace(retired, new)
        except OSError as error:
            where, then = str(self._directory), "the key that is current signs on"
            raise storage_error(error, "keys", SIGNING_KEY_NAME, where, then=then) or error from error
        self._private, self.current = new, public_key_of(new.public_key())
        self._retired = [retired, *self._retired]
        return self.current

    def _replace(self, retired: SigningKey, new: Ed25519PrivateKey) -> None:
        history = self._directory / HISTORY_NAME
        history.mkdir(exist_ok=True, mode=0o700)
        note = f"{_RETIRED}{iso(self._clock.now())}\n"
        write_atomically(history / f"{retired.id}.pem", (note + retired.pem).encode(), mode=0o644)
        write_atomically(self._directory / SIGNING_KEY_NAME, _private_pem(new))

    def _read_history(self) -> list[SigningKey]:
        """Newest first, without the current key. Raises Permanent for a file that is not a public key."""
        found = []
        for path in (self._directory / HISTORY_NAME).glob("*.pem"):
            text = path.read_text("ascii", errors="replace")
            try:
                key = read_public_key(text)
                retired_at = datetime.fromisoformat(text.partition("\n")[0].removeprefix(_RETIRED)).timestamp()
            except ValueError as error:
                raise Permanent(
                    "key-unusable",
                    f"{path} is not the public half of a retired key",
                    cause=str(error),
                    hint=f"restore {path} from a backup: verifiers need it for older artifacts",
                ) from error
            if key.id != self.current.id:
                found.append(SigningKey(key.id, key.pem, retired_at))
        return sorted(found, key=lambda one: one.retired_at or 0.0, reverse=True)


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """A private key in PKCS#8 PEM, without a passphrase. Raises Permanent for a file that other users can read or that
    is not such a key."""
    check_private(path, "a user who reads it can sign anything in its owner's name")
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, str(error)) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _unusable(path, "it is a key of another kind")
    return private


def signed_envelope(private: Ed25519PrivateKey, payload: bytes) -> Envelope:
    """An in-toto statement in an envelope with one signature."""
    data = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    return Envelope(payload, PAYLOAD_TYPE, (Signature(public_key_of(private.public_key()).id, private.sign(data)),))


def public_key_of(key: Ed25519PublicKey) -> SigningKey:
    """The record of a public key."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(sha256(der).hexdigest(), pem.decode("ascii"))


def read_public_key(text: str) -> SigningKey:
    """A public key in PEM; text before it is ignored. Raises ValueError for anything but an Ed25519 key."""
    begin = text.find("-----BEGIN PUBLIC KEY-----")
    try:
        key = load_pem_public_key(text[max(begin, 0) :].encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("it is not an Ed25519 key")
    return public_key_of(key)


def is_signed_by(key: SigningKey, signature: bytes, data: bytes) -> bool:
    """Whether a signature of that data is by that key."""
    public = load_pem_public_key(key.pem.encode())
    if not isinstance(public, Ed25519PublicKey):
        return False
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unusable(path: Path, cause: str) -> Permanent:
    return Permanent(
        "key-unusable",
        f"{path} is not an Ed25519 key in PKCS#8 PEM without a passphrase",
        cause=cause,
        hint=f"restore it from a backup, or write it without a passphrase: openssl pkey -in {path} -out NEW",
    )
