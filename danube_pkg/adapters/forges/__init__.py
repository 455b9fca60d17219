"""The HTTP APIs of forges."""
