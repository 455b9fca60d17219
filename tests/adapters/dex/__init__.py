"""Tests of `adapters/dex`."""
