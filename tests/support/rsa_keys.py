"""RSA keys of tests. To find the primes of one takes a tenth of a second of processor time and more, so each test
process makes a few and uses them again."""

import functools

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@functools.cache
def rsa_key(owner: str) -> rsa.RSAPrivateKey:
    """The key of that owner: the same in each test of this process, another one than those of other owners."""
    assert owner
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_pem(owner: str) -> bytes:
    """The same in PKCS #8."""
    return rsa_key(owner).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
