"""Tests of `core/notifications`."""
