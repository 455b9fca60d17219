"""Pulling images for jobs, and access to their registries."""
