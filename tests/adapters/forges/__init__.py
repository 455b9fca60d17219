"""Tests of `adapters/forges`."""
