"""Credentials for repositories and commit statuses."""
