"""Tests of `adapters/configuration`."""
