"""Tests of `core/logs`."""
