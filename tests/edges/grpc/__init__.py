"""Tests of the coordinator's gRPC edge."""
