"""Webhooks, schedules and the inbox that turns them into jobs."""
