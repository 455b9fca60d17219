"""The key of registry tokens: made once, private, and its certificate is of that key."""

import base64
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from danube_pkg.adapters.keys.keys import Keys
from danube_pkg.adapters.keys.registry_key import RegistryKeyFile
from danube_pkg.core.errors import Permanent, Unauthenticated
from danube_pkg.core.images.registry_tokens import CredentialKind, RegistryCredential


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_token_is_signed_by_the_key_of_the_certificate(tmp_path: Path) -> None:
    key = RegistryKeyFile(tmp_path / "keys")
    head, claims, signature = (await key.sign_registry_token({"sub": "job 1"})).split(".")
    certificate = x509.load_pem_x509_certificate((tmp_path / "keys" / "registry.pem").read_bytes())
    chain = json.loads(decoded(head))["x5c"]
    assert x509.load_der_x509_certificate(base64.b64decode(chain[0])) == certificate
    numbers = [int.from_bytes(part, "big") for part in (decoded(signature)[:32], decoded(signature)[32:])]
    public = certificate.public_key()
    assert isinstance(public, EllipticCurvePublicKey)
    public.verify(encode_dss_signature(*numbers), f"{head}.{claims}".encode(), ECDSA(SHA256()))
    assert json.loads(decoded(claims)) == {"sub": "job 1"}


def test_it_is_kept_and_private(tmp_path: Path) -> None:
    RegistryKeyFile(tmp_path).open()
    before = (tmp_path / "registry.pem").read_bytes()
    RegistryKeyFile(tmp_path).open()
    assert (tmp_path / "registry.pem").read_bytes() == before
    assert (tmp_path / "registry.key").stat().st_mode & 0o077 == 0
    (tmp_path / "registry.key").chmod(0o644)
    with pytest.raises(Permanent, match="readable by other users"):
        RegistryKeyFile(tmp_path).open()


def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    RegistryKeyFile(tmp_path / "a").open()
    RegistryKeyFile(tmp_path / "b").open()
    (tmp_path / "a" / "registry.pem").write_bytes((tmp_path / "b" / "registry.pem").read_bytes())
    with pytest.raises(Permanent, match="are not a key and its certificate") as refused:
        RegistryKeyFile(tmp_path / "a").open()
    assert "remove both" in refused.value.hint


def test_a_registry_password_has_its_job_and_kind_and_cannot_be_forged() -> None:
    keys, other = Keys(bytes(32)), Keys(bytes(31) + b"x")
    credential = RegistryCredential(CredentialKind.PULL, "job1")
    password = keys.registry_password(credential)
    assert keys.check_registry_password(password) == credential
    forged = (
        "",
        "x",
        password.replace("pull", "push"),
        password.replace("job1", "job2"),
        other.registry_password(credential),
    )
    for text in (*forged, password[:-1], keys.job_token("job1")):
        with pytest.raises(Unauthenticated):
            keys.check_registry_password(text)
