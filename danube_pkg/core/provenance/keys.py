"""Signing keys as others see them: their public halves, the current one and those that were retired."""

from danube_pkg.kit.records import Record


class SigningKey(Record):
    """The public half of an Ed25519 key pair.

    id: SHA-256 of the DER encoded SubjectPublicKeyInfo (RFC 5280, 4.1), in hexadecimal digits. pem: the same structure
    as PEM text (RFC 7468). retired_at: Unix seconds, None for the current key.
    """

    id: str
    pem: str
    retired_at: float | None = None
