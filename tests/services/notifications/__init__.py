"""Tests of `services/notifications`."""
