"""Bytes that belong to a job, as files below the data directory."""
