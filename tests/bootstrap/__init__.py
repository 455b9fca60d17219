"""Tests of `bootstrap`."""
