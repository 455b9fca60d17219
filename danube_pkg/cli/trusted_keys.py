"""Reads the keys that a verifier trusts: a public key in PEM, or the document of `danube keys export`."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from danube_pkg.adapters.keys.signing import read_public_key
from danube_pkg.core.errors import Permanent
from danube_pkg.core.provenance.keys import SigningKey
from danube_pkg.kit.records import replace


def read_keys(name: str) -> Sequence[SigningKey]:
    """The keys of a file. Raises Permanent for one that cannot be read or has no such keys."""
    try:
        text = Path(name).read_text("utf-8")
        if text.lstrip().startswith("{"):
            return [_key(one) for one in json.loads(text)["keys"]]
        return [read_public_key(text)]
    except OSError as error:
        cause = error.strerror or str(error)
        raise Permanent(
            "file-unreadable", f"{name} cannot be read", cause=cause, hint=f"check it: ls -l {name}"
        ) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Permanent(
            "key-unusable",
            f"{name} has no Ed25519 public key",
            cause=str(error),
            hint="get it from the server: danube keys export --output FILE",
        ) from error


def _key(document: Any) -> SigningKey:
    key = read_public_key(document["public_key"])
    at = document.get("retired_at")
    return replace(key, retired_at=datetime.fromisoformat(at).timestamp() if at else None)
