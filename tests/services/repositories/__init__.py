"""Tests of `services/repositories`."""
