"""Cron expressions: their next moments, and their description for people."""
