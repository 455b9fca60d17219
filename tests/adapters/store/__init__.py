"""Tests of `adapters/store`."""
