"""Tests of `cli.selftest`."""
