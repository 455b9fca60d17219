"""The settings for images on this machine, from options, environment and danube.toml, for all commands that use
images."""

import os
from pathlib import Path

from danube_pkg.adapters.configuration import read_settings
from danube_pkg.adapters.configuration.toml import LOCAL_FILE
from danube_pkg.bootstrap.images import ImageOptions
from danube_pkg.cli.servers import data_directory
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.configuration.settings import ImageSettings, Settings
from danube_pkg.core.images.reference import ImageBounds
from danube_pkg.kit.http_client import environment_proxy


def image_options(data: str | None, settings: Settings | None = None, *, pull_as_server: bool = False) -> ImageOptions:
    """The server's image store if this user may write to it, else the user's own.

    settings: None for those of `local_settings`. pull_as_server: also use the registries
    and credentials of the server's configuration, if this user owns the server's files.
    """
    if settings is None:
        settings = local_settings()
    images = settings.images if settings is not None else ImageSettings()
    return ImageOptions(
        directory=_directory(data),
        logins=Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser()) / "config.json",
        registry=settings.registry if settings is not None else RegistrySettings(),
        bounds=ImageBounds(store_bytes=images.store_gb * 1024**3),
        proxy_of=environment_proxy,
        hosts=settings.egress.hosts if settings is not None else {},
        server=_server(data) if pull_as_server else None,
    )


def local_settings() -> Settings | None:
    """Those of the danube.toml that `danube serve` would read here; None where this directory has none. Raises
    ConfigurationInvalid."""
    file = Path(os.environ.get("DANUBE_CONFIG") or LOCAL_FILE)
    return read_settings(file.absolute()) if file.is_file() else None


def _server(data: str | None) -> Path | None:
    """The data directory of a server that this user owns; None if there is none."""
    directory = data_directory(data)
    try:
        owner = (directory / "keys" / "encryption.key").stat().st_uid
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return directory if owner == os.geteuid() and (directory / "danube.db").is_file() else None


def _directory(data: str | None) -> Path:
    server = data_directory(data)
    if data is not None or os.environ.get("DANUBE_DATA") or os.access(server, os.W_OK | os.X_OK):
        return server / "images"
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "danube" / "images"
