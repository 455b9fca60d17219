"""Tests of the coordinator's program: the outcome of a danubefile, and the unpacking of the source."""
