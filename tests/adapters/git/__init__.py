"""Tests of `adapters/git`."""
