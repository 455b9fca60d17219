"""Tests of `core/egress`."""
