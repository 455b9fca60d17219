"""Tests of `core/documents`."""
