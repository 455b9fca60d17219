"""Tests of `core/identity`."""
