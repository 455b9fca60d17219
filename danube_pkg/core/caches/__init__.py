"""Caches: which entries a job may read and write, what identifies one, and which are removed."""
