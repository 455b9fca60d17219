"""Tests of the rules of caches."""
