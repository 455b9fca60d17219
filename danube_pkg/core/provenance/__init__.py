"""Provenance: what the server states about the artifacts of a job, how it is signed, and how others verify it. Pure."""
