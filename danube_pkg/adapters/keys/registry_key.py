"""The key of tokens for the server's own registry, and the certificate by which the registry knows it.

`keys/registry.key` is an EC key (P-256, PKCS#8 PEM); `keys/registry.pem` its self-signed certificate, which the
registry's configuration names as `rootcertbundle`. A token carries the certificate (`x5c`, RFC 7515), as all versions
of the registry accept. A key that is lost is simply made anew: the registry must then get the new certificate, and no
token lives longer than minutes.
"""

import asyncio
import base64
import datetime
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from danube_pkg.adapters.keys.files import check_private
from danube_pkg.core.errors import Permanent
from danube_pkg.core.images.registry_tokens import TOKEN_ISSUER
from danube_pkg.kit.files import write_atomically

REGISTRY_KEY_NAME = "registry.key"
REGISTRY_CERTIFICATE_NAME = "registry.pem"

_VALID_DAYS = 36_500
"""The registry trusts exactly this certificate; it is replaced by removing the files."""

_NUMBER_BYTES = 32


class RegistryKeyFile:
    """`core.images.registry_tokens.TokenSigner` over files. directory: `keys/` of the data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / REGISTRY_KEY_NAME
        self._certificate = directory / REGISTRY_CERTIFICATE_NAME
        self._opened: tuple[EllipticCurvePrivateKey, str] | None = None

    def open(self) -> None:
        """Make what is missing, and read it. Raises Permanent for a key that other users can read, or that is none."""
        if not self._path.exists() or not self._certificate.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = generate_private_key(SECP256R1())
            write_atomically(self._path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            write_atomically(self._certificate, _certificate_of(key).public_bytes(Encoding.PEM))
        check_private(self._path, "a user who reads it can push to the registry as any job")
        try:
            found = load_pem_private_key(self._path.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise self._unusable() from error
        if not isinstance(found, EllipticCurvePrivateKey) or certificate.public_key() != found.public_key():
            raise self._unusable()
        chain = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
        self._opened = found, chain

    async def sign_registry_token(self, claims: dict[str, Any]) -> str:
        if self._opened is None:
            await asyncio.to_thread(self.open)
        assert self._opened is not None
        key, chain = self._opened
        header = {"alg": "ES256", "typ": "JWT", "x5c": [chain]}
        signed = f"{_encoded(_compact(header))}.{_encoded(_compact(claims))}"
        first, second = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
        signature = first.to_bytes(_NUMBER_BYTES, "big") + second.to_bytes(_NUMBER_BYTES, "big")  # RFC 7518, 3.4
        return f"{signed}.{_encoded(signature)}"

    def _unusable(self) -> Permanent:
        return Permanent(
            "key-unusable",
            f"{self._path} and {self._certificate} are not a key and its certificate",
            hint=f"remove both, start Danube again, and give the registry the new {self._certificate}",
        )


def _certificate_of(key: EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{TOKEN_ISSUER} registry tokens")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
    return builder.sign(key, SHA256())


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
