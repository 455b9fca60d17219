"""Cron expressions: validation, the times that they match, and their description in words."""
