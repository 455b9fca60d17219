"""Tests of Danube; CONTRIBUTING says what lives where."""
