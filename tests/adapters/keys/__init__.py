"""Tests of `adapters/keys`."""
