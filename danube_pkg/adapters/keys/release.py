"""The public key of Danube's releases that this program was built with: upgrades must be signed by it."""

from pathlib import Path

import danube_pkg
from danube_pkg.adapters.keys.signing import read_public_key
from danube_pkg.core.provenance.keys import SigningKey

RELEASE_KEY_NAME = "release_key.pem"
"""In the installed package; a checkout has none."""


def pinned_key() -> SigningKey | None:
    """None in a checkout, and in a build without a key."""
    path = Path(danube_pkg.__file__).absolute().parent / RELEASE_KEY_NAME
    return read_public_key(path.read_text()) if path.exists() else None
