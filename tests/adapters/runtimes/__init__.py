"""Tests of `adapters/runtimes`."""
