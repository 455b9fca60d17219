"""Credentials that `docker login` and `podman login` have stored: in `config.json`, or in credential helper programs.

https://docs.docker.com/reference/cli/docker/login/#credential-stores; the programs: docker-credential-NAME get.
"""

import asyncio
import base64
import binascii
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistryCredentials, login_names
from danube_pkg.kit.processes import child_process

HELPER_SECONDS = 30.0
"""Timeout of a credential helper, which may request a new token over the network."""

_TOKEN_USER = "<token>"
"""The user name with which a credential helper marks an identity token."""


class DockerLogins:
    """`core.images.ports.RegistryLogins`. path: the `config.json`, read each time, since users may log in later."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def credentials(self, host: str) -> RegistryCredentials | None:
        """The credentials for a registry, or None. Raises ImageUnavailable for a file that cannot be read."""
        document = self._read()
        for name in login_names(host):
            helper = _mapping(document.get("credHelpers")).get(name) or document.get("credsStore")
            if helper and (found := await _ask(str(helper), self._server(document, name))) is not None:
                return found
            for key, entry in _mapping(document.get("auths")).items():
                if _host_of(key) == name and (kept := self._kept(_mapping(entry))) is not None:
                    return kept
        return None

    def _server(self, document: Mapping[str, Any], name: str) -> str:
        """The registry's name for the helper: the key in the file, which may be a URL."""
        return next((key for key in _mapping(document.get("auths")) if _host_of(key) == name), name)

    def _read(self) -> Mapping[str, Any]:
        try:
            return _mapping(json.loads(self._path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            raise self._unreadable(str(error)) from error

    def _kept(self, entry: Mapping[str, Any]) -> RegistryCredentials | None:
        username, password = str(entry.get("username", "")), str(entry.get("password", ""))
        if pair := str(entry.get("auth", "")):
            try:
                username, _, password = base64.b64decode(pair, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise self._unreadable("an entry of auths is not base64") from error
        token = str(entry.get("identitytoken", ""))
        return RegistryCredentials(username, password.rstrip("\0"), token) if username or token else None

    def _unreadable(self, cause: str) -> ImageUnavailable:
        return ImageUnavailable(f"{self._path} cannot be read", cause=cause, hint="log in again: docker login REGISTRY")


async def _ask(helper: str, server: str) -> RegistryCredentials | None:
    program = shutil.which(f"docker-credential-{helper}")
    if program is None or "/" in helper:
        return None
    try:
        async with child_process(
            program, "get",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        ) as process, asyncio.timeout(HELPER_SECONDS):  # fmt: skip
            output, _ = await process.communicate(server.encode())
        found = _mapping(json.loads(output)) if process.returncode == 0 else {}
    except (TimeoutError, ValueError):
        return None
    username, secret = str(found.get("Username", "")), str(found.get("Secret", ""))
    if not secret:
        return None
    return (
        RegistryCredentials(identity_token=secret) if username == _TOKEN_USER else RegistryCredentials(username, secret)
    )


def _host_of(key: str) -> str:
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
