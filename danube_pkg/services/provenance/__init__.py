"""Provenance: states what the server recorded of a job, has it signed, and rotates the key."""
