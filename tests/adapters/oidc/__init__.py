"""Tests of `adapters/oidc`."""
