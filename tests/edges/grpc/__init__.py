"""Tests of the coordinators' gRPC service: its bounds, against a client in another process."""
