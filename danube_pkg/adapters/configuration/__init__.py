"""Reads the configuration: `danube.toml`, and a directory or a Git branch with YAML.

It parses and finds places; what a configuration means is decided in `core/configuration`.
"""

from danube_pkg.adapters.configuration.directory import (
    ConfigurationDirectory,
    configuration_files,
    is_configuration,
    read_directory,
    validate_directory,
)
from danube_pkg.adapters.configuration.toml import find_settings, read_settings

__all__ = [
    "ConfigurationDirectory",
    "configuration_files",
    "find_settings",
    "is_configuration",
    "read_directory",
    "read_settings",
    "validate_directory",
]
