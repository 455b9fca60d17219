"""Secrets: their names, their stored form, and the ports of their store and cipher."""
