"""Takes the encryption key out of the environment of this process."""

import os

from danube_pkg.adapters.keys.given_key import VARIABLE, offer_key


def take_key_from_environment() -> None:
    """The variable is removed: programs that this process starts would inherit it."""
    offer_key(os.environ.pop(VARIABLE, ""), os.environ.get("CREDENTIALS_DIRECTORY", ""))
