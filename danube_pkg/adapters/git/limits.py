"""Bounds that both the server and its worker know; apart, so that the server does not load dulwich for them."""

CHUNK_BYTES = 256 * 1024
"""What one read from the worker gives at most: a pipe holds 64 KiB, the coordinator's messages carry four of these."""

MAX_FILES = 200_000
"""Ten times the largest repositories that build on one machine; a directory with more is somebody's home by mistake."""

MAX_TREE_BYTES = 8 * 1024**3

MAX_BLOB_BYTES = 512 * 1024**2
"""One file from Git: dulwich holds it in memory as a whole."""
