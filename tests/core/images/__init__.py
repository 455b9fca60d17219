"""Tests of `core/images`."""
