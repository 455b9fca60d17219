"""Tests of `adapters/blobs`."""
