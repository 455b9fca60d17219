"""Tests of `adapters/egress`, most of them with a proxy process."""
