"""Tests of `core/jobs`."""
