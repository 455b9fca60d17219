"""Tests of `core/configuration`."""
