"""Whole jobs through real processes: server, sandbox, coordinator, command line."""
