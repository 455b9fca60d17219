"""Backup files: a compressed tar archive with a checksum of each file, encrypted in the format age."""
