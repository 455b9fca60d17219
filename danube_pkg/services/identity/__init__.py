"""Logins, sessions, API tokens, rights and the audit."""
