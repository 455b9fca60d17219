"""Bytes that belong to a job, below the data directory."""
