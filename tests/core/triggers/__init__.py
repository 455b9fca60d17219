"""Tests of `core/triggers`."""
