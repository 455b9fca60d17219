"""Tests of `services/health`."""
