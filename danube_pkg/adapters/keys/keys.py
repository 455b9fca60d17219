"""The keys of a server: `keys/encryption.key`, the keys derived from it, and `keys/git_deploy_key`.

Secrets are encrypted with AES-256-GCM (NIST SP 800-38D), a new 96-bit nonce for each and the row's identity as
associated data. Keys are derived by HKDF-SHA256 (RFC 5869) with one label for each purpose, so that no key has two.
"""

import base64
import hmac
import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from danube_pkg.adapters.keys.files import check_private, key_missing
from danube_pkg.adapters.keys.given_key import given_key
from danube_pkg.core.errors import Permanent, Unauthenticated
from danube_pkg.core.images.registry_tokens import CredentialKind, RegistryCredential
from danube_pkg.core.secrets.secret import SecretName, StoredSecret
from danube_pkg.kit.files import write_atomically

KEY_NAME = "encryption.key"
DEPLOY_KEY_NAME = "git_deploy_key"
NEXT_KEY_NAME = "encryption.key.next"
"""The key that a rotation takes; it replaces the other one once the database is encrypted with it."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TOKEN_PREFIX = "dj1"
_REGISTRY_PREFIX = "dr1"


class Keys:
    """`core.jobs.ports.JobKeys`, `core.images.registry_tokens.RegistryPasswords`, the encryption of secrets and of
    login cookies, and derived keys."""

    def __init__(self, master: bytes) -> None:
        self._cipher = AESGCM(_derive(master, "secrets"))
        self._token_key = _derive(master, "job-token")
        self._step_key = _derive(master, "step-key")
        self._registry_key = _derive(master, "registry-password")
        self._egress_key = _derive(master, "egress-password")
        self._snapshot_key = _derive(master, "snapshot")
        self._seal = AESGCM(_derive(master, "login-cookie"))
        self._wrap = AESGCM(_derive(master, "wrapped-key"))
        self.fingerprint = _derive(master, "fingerprint").hex()
        """Tells this key from another one, and does not reveal it."""
        self.audit_key = _derive(master, "audit")
        self.dex_client_secret = _url_safe(_derive(master, "dex-client"))

    @classmethod
    def open(cls, directory: Path) -> "Keys":
        """The keys of a new data directory, created where they are missing. Raises as `read`."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (directory / KEY_NAME).exists() and given_key() is None:
            write_new_key(directory / KEY_NAME)
        return cls.read(directory)

    @classmethod
    def read(cls, directory: Path, name: str = KEY_NAME) -> "Keys":
        """The keys of a data directory that has been used, from the file or from outside (`given_key`). Raises
        Permanent for a missing or damaged key, for two of them, and if other users can read the file."""
        path = directory / name
        given = given_key() if name == KEY_NAME else None
        if given is not None:
            return cls._given(path, *given)
        if not path.exists():
            raise key_missing(path, "the secrets of this directory cannot be decrypted without it")
        check_private(path, "a user who reads it can decrypt every secret")
        try:
            master = base64.b64decode(path.read_bytes(), validate=False)
        except ValueError as error:
            raise _unusable(path) from error
        if len(master) != 32:
            raise _unusable(path)
        return cls(master)

    @classmethod
    def _given(cls, path: Path, text: str, source: str) -> "Keys":
        if path.exists():
            raise Permanent(
                "key-twice",
                f"there is an encryption key in {path}, and another one comes from {source}",
                cause="which of them is right cannot be known",
                hint=f"keep the file's content elsewhere and remove {path}, or give no key from outside",
            )
        try:
            master = base64.b64decode(text, validate=False)
        except ValueError:
            master = b""
        if len(master) != _KEY_BYTES:
            raise Permanent(
                "key-damaged",
                f"{source} is not an encryption key",
                cause=f"a key is {_KEY_BYTES} bytes in base64",
                hint="openssl rand -base64 32 makes one for a new server",
            )
        return cls(master)

    # --- secrets

    def encrypt_secret(self, secret_id: str, name: SecretName, value: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, _identity(secret_id, name))

    def decrypt_secret(self, secret: StoredSecret) -> bytes:
        data = secret.value_encrypted
        try:
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _identity(secret.id, secret.name))
        except (InvalidTag, ValueError) as error:
            raise Permanent(
                "secret-undecipherable",
                f"the secret {secret.name} cannot be decrypted",
                cause="it was encrypted with another keys/encryption.key, or the row was changed",
                hint=f"restore keys/encryption.key, or set it again: danube secrets set {secret.name.key}",
            ) from error

    # --- login cookies

    def seal(self, text: str) -> str:
        """Encrypts text so that only this server can read or create it."""
        nonce = os.urandom(_NONCE_BYTES)
        return _url_safe(nonce + self._seal.encrypt(nonce, text.encode(), None))

    def unseal(self, text: str) -> str | None:
        """The text that was sealed; None for anything that this server has not sealed."""
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._seal.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except (ValueError, InvalidTag):
            return None

    # --- former keys

    def wrap(self, key: bytes) -> str:
        """A key that stays readable after a rotation, encrypted for the database."""
        nonce = os.urandom(_NONCE_BYTES)
        return _url_safe(nonce + self._wrap.encrypt(nonce, key, None))

    def unwrap(self, text: str) -> bytes:
        """Raises Permanent for text that `wrap` of this key has not made."""
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._wrap.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
        except (ValueError, InvalidTag) as error:
            raise Permanent(
                "key-undecipherable",
                "a former key in the database cannot be decrypted",
                cause="the row was changed, or written with another keys/encryption.key",
                hint="restore the database and keys/encryption.key from the same backup",
            ) from error

    # --- jobs and steps

    def job_token(self, job_id: str) -> str:
        return f"{_TOKEN_PREFIX}.{job_id}.{_url_safe(hmac.digest(self._token_key, job_id.encode(), sha256))}"

    def check_job_token(self, token: str) -> str:
        parts = token.split(".")
        if len(parts) != 3 or not hmac.compare_digest(self.job_token(parts[1]).encode(), token.encode()):
            raise Unauthenticated("job-token-invalid", "this is not a job token of this server")
        return parts[1]

    def registry_password(self, credential: RegistryCredential) -> str:
        text = f"{credential.kind}.{credential.job_id}"
        return f"{_REGISTRY_PREFIX}.{text}.{_url_safe(hmac.digest(self._registry_key, text.encode(), sha256))}"

    def check_registry_password(self, password: str) -> RegistryCredential:
        parts = password.split(".")
        if len(parts) == 4 and parts[1] in set(map(str, CredentialKind)):
            found = RegistryCredential(CredentialKind(parts[1]), parts[2])
            if hmac.compare_digest(self.registry_password(found).encode(), password.encode()):
                return found
        what = "this is not a registry credential of this server"
        raise Unauthenticated("registry-credential-invalid", what, hint="push by a step: step.build_image(…)")

    def egress_password(self, job_id: str) -> str:
        return _url_safe(hmac.digest(self._egress_key, job_id.encode(), sha256))

    def step_key(self, step_id: str, attempt: int) -> bytes:
        return hmac.digest(self._step_key, f"{step_id}\0{attempt}".encode(), sha256)

    def snapshot_hash(self, parts: bytes) -> str:
        return hmac.digest(self._snapshot_key, parts, sha256).hex()


class KeyDirectory:
    """`core.health.ports.KeyFiles`: the files below `keys/`, compared with the keys that the server works with."""

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory = directory
        self._fingerprint = fingerprint

    def check(self) -> None:
        """Raises Permanent, OSError."""
        path = self._directory / KEY_NAME
        if Keys.read(self._directory).fingerprint != self._fingerprint:
            raise Permanent(
                "key-changed",
                f"{path} is not the key with which this server was started",
                cause="the next start would be refused: secrets could not be decrypted",
                hint=f"restore {path}, from the backup that belongs to the database",
            )
        deploy = self._directory / DEPLOY_KEY_NAME
        if not deploy.exists():
            raise key_missing(deploy, "repositories were given access for it")


def write_new_key(path: Path) -> None:
    """A new random key, in place of what the file held."""
    write_atomically(path, base64.b64encode(os.urandom(32)) + b"\n")


def open_deploy_key(directory: Path) -> str:
    """The public key of `git_deploy_key` as one line for forges; the pair is created on first start (ed25519, OpenSSH).

    Raises Permanent if other users can read the private key.
    """
    private, public = directory / DEPLOY_KEY_NAME, directory / f"{DEPLOY_KEY_NAME}.pub"
    if not private.exists():
        key = Ed25519PrivateKey.generate()
        data = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write_atomically(private, data)
    check_private(private, "a user who reads it can read every repository that trusts it")
    try:
        key_pair = load_ssh_private_key(private.read_bytes(), password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Permanent(
            "key-unusable",
            f"{private} is not an SSH key without a passphrase",
            cause=str(error),
            hint=f"restore it from a backup, or remove it and {public}: then a new one is created",
        ) from error
    line = key_pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") + " danube"
    if not public.exists() or public.read_text("ascii", errors="replace").strip() != line:
        write_atomically(public, f"{line}\n".encode(), mode=0o644)
    return line


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"danube/1/{purpose}".encode()).derive(master)


def _identity(secret_id: str, name: SecretName) -> bytes:
    return "\0".join((secret_id, name.pipeline or "", name.key)).encode()


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unusable(path: Path) -> Permanent:
    return Permanent(
        "key-unusable", f"{path} does not contain 32 bytes in base64", hint=f"restore {path} from a backup"
    )
