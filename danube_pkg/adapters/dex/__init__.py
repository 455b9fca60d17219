"""Dex as a child process, and the reverse proxy to it."""
