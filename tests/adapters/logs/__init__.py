"""Tests of `adapters/logs`."""
