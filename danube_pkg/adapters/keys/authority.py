"""The authority for connections of coordinators in a cluster: `keys/ca.pem`, `keys/ca.key`, `keys/coordinator.pem`.

Pods trust the certificates in `ca.pem`; the server proves itself by `coordinator.pem`, which holds its certificate with
the private key and is made again at each start and before it ends. Nothing else is signed, and no pod sees a key.

Succession: OVERLAP before an authority ends its successor is made and added to both files, so that pods that are
created from then on trust both. The older one signs until half of the overlap has passed, which is longer than any job
may take: no running job meets a certificate of an authority that it does not know.
"""

import datetime
import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from danube_pkg.adapters.keys.files import check_private
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.connection import COORDINATOR_NAME, ServerCertificate
from danube_pkg.kit.clock import Clock
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import Record

AUTHORITY_NAME, AUTHORITY_KEY_NAME, CERTIFICATE_NAME = "ca.pem", "ca.key", "coordinator.pem"

AUTHORITY_LIFE = datetime.timedelta(days=3650)
OVERLAP = datetime.timedelta(days=120)
CERTIFICATE_LIFE = datetime.timedelta(days=30)
"""Less than half of the overlap, so that no certificate outlives its authority; much more than RENEWAL."""

RENEWAL = datetime.timedelta(days=15)
"""How long before its end a certificate is replaced: a server that was off for a fortnight has a valid one."""

SKEW = datetime.timedelta(hours=1)
"""By which clocks of nodes may be behind."""

_KEY_END = b"-----END PRIVATE KEY-----\n"


class _Authority(Record):
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


class CoordinatorAuthority:
    """`core.runtimes.connection.ServerCertificates` over files. directory: `keys/` of the data directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._authorities = self._read()
        self._certificate = ServerCertificate(directory / CERTIFICATE_NAME, 0.0)

    @property
    def bundle(self) -> str:
        """What pods must trust, PEM. Raises OSError."""
        with self._lock:
            return _pem(self._succeeded())

    def renewed(self) -> ServerCertificate:
        with self._lock:
            if self._clock.now() >= self._certificate.renew_at:
                self._certificate = self._issue(_signing(self._succeeded(), self._now()))
            return self._certificate

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC)

    # --- the authorities

    def _succeeded(self) -> Sequence[_Authority]:
        """The authorities to trust, oldest first; a new one is made and stored where the last one needs a successor."""
        now = self._now()
        kept = [one for one in self._authorities if one.certificate.not_valid_after_utc > now]
        if not kept or kept[-1].certificate.not_valid_after_utc - now < OVERLAP:
            kept.append(_new_authority(now))
        if kept != self._authorities:
            self._store(kept)
            self._authorities = kept
        return self._authorities

    def _store(self, authorities: Sequence[_Authority]) -> None:
        """The keys first: a key without a certificate is ignored when it is read, the opposite would be a loss."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(self._directory / AUTHORITY_KEY_NAME, b"".join(_private_pem(one.key) for one in authorities))
        write_atomically(self._directory / AUTHORITY_NAME, _pem(authorities).encode(), mode=0o644)

    def _read(self) -> list[_Authority]:
        """Oldest first; empty where there is none. Raises Permanent for files that do not belong together."""
        certificates, keys = self._directory / AUTHORITY_NAME, self._directory / AUTHORITY_KEY_NAME
        if not certificates.exists():
            return []
        if not keys.exists():
            raise _unusable(keys, f"it is missing beside {certificates}")
        check_private(keys, "a user who reads it can pretend to be this server to coordinators")
        try:
            found = x509.load_pem_x509_certificates(certificates.read_bytes())
            pieces = [piece + _KEY_END for piece in keys.read_bytes().split(_KEY_END)[:-1]]
            private = [load_pem_private_key(piece, password=None) for piece in pieces]
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _unusable(keys, str(error)) from error
        curve = [key for key in private if isinstance(key, EllipticCurvePrivateKey)]
        pairs = [_Authority(one, key) for one in found for key in curve if key.public_key() == one.public_key()]
        if len(pairs) < len(found):
            raise _unusable(keys, f"it has keys for {len(pairs)} of the {len(found)} certificates in {certificates}")
        return sorted(pairs, key=lambda one: one.certificate.not_valid_after_utc)

    # --- the server's certificate

    def _issue(self, authority: _Authority) -> ServerCertificate:
        now, key = self._now(), generate_private_key(SECP256R1())
        end = now + CERTIFICATE_LIFE
        builder = _builder(COORDINATOR_NAME, now, end).issuer_name(authority.certificate.subject)
        names = x509.SubjectAlternativeName([x509.DNSName(COORDINATOR_NAME)])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
        certificate = (
            builder.public_key(key.public_key())
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(identifier, critical=False)
            .sign(authority.key, SHA256())
        )
        path = self._directory / CERTIFICATE_NAME
        write_atomically(path, _private_pem(key) + certificate.public_bytes(Encoding.PEM))
        return ServerCertificate(path, (end - RENEWAL).timestamp())


def _signing(authorities: Sequence[_Authority], now: datetime.datetime) -> _Authority:
    """The oldest one that is still far from its end: every pod that runs trusts it."""
    lasting = [one for one in authorities if one.certificate.not_valid_after_utc - now > OVERLAP / 2]
    return lasting[0]


def _new_authority(now: datetime.datetime) -> _Authority:
    key = generate_private_key(SECP256R1())
    builder = _builder("Danube coordinators", now, now + AUTHORITY_LIFE)
    certificate = (
        builder.issuer_name(_name("Danube coordinators"))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _Authority(certificate, key)


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def _builder(name: str, now: datetime.datetime, end: datetime.datetime) -> x509.CertificateBuilder:
    number = x509.random_serial_number()
    builder = x509.CertificateBuilder().subject_name(_name(name)).serial_number(number)
    return builder.not_valid_before(now - SKEW).not_valid_after(end)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(authorities: Sequence[_Authority]) -> str:
    return "".join(one.certificate.public_bytes(Encoding.PEM).decode("ascii") for one in authorities)


def _private_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unusable(path: Path, cause: str) -> Permanent:
    return Permanent(
        "key-unusable",
        f"{path} is not the key of the authority for coordinators",
        cause=cause,
        hint=f"restore {path} from a backup; or remove {path.parent / AUTHORITY_NAME}: jobs that run now lose the server, "
        "later ones get a new authority",
    )
