"""The server's keys on disk and what is derived from them."""
