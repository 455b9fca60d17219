"""Tests of `core/repositories`."""
