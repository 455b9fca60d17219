"""Tests of `core/provenance`."""
