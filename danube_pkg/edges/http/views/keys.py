"""The keys that sign provenance."""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso_or_none


class SigningKeyView(Record):
    """The public half of a key that signs, or signed, provenance."""

    keyid: Annotated[str, about("SHA-256 of its DER encoded SubjectPublicKeyInfo; envelopes name their key by it.")]
    algorithm: Annotated[str, about("The kind of key: ed25519.")]
    public_key: Annotated[str, about("The public key as PEM text.")]
    retired_at: Annotated[Time | None, about("When another key took its place; null for the current key.")]


class SigningKeyList(Record):
    """Every key with which this server has signed."""

    keys: Annotated[tuple[SigningKeyView, ...], about("The current key, then the retired ones, newest first.")]


def signing_key_list(keys: Sequence[SigningKey]) -> SigningKeyList:
    """Public halves only."""
    return SigningKeyList(tuple(map(signing_key_view, keys)))


def signing_key_view(key: SigningKey) -> SigningKeyView:
    """One key."""
    return SigningKeyView(key.id, "ed25519", key.pem, iso_or_none(key.retired_at))
