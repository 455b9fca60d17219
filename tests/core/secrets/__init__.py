"""Tests of `core/secrets`."""
