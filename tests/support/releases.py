"""The signed provenance of a release, as a build writes it beside a program."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from danube_pkg.adapters.keys.signing import public_key_of
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, Signature, pre_authentication_encoding
from danube_pkg.core.provenance.release import ReleasedFile, release_statement


def release_provenance(key: Ed25519PrivateKey, name: str, sha256: str) -> bytes:
    """The content of `NAME.intoto.jsonl`."""
    file = ReleasedFile(
        name=name,
        sha256=sha256,
        artifact="zipapp",
        version="1.0.0",
        architecture="x86_64",
        repository="https://git.example.org/danube",
        ref="refs/tags/v1.0.0",
        commit_sha="a" * 40,
        materials={},
        tools={},
    )
    statement = release_statement(file)
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, statement))
    signer = public_key_of(key.public_key()).id
    return Envelope(statement, PAYLOAD_TYPE, (Signature(signer, signature),)).encode() + b"\n"
