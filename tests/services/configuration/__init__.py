"""Tests of `services/configuration`."""
