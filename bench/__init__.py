"""Measurements of real servers and pods, beside what they are compared with, in one run: `make bench`.

Suites use the fixtures of tests/support and of some test packages."""
