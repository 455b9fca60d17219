"""Checks passwords against bcrypt hashes."""
