"""Danube: a self-hosted CI/CD platform in one executable."""

__version__ = "0.1.0"
