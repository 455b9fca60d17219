"""The rules of CI, pure: no I/O, no await, no clock, no randomness. Most tests are of this package."""
