"""Tests of `services/triggers`."""
