"""Tests of `edges`."""
