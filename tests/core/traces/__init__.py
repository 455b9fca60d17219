"""Tests of `core/traces`."""
