"""Tests of `services/provenance`."""
