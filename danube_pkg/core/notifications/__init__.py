"""Notifications about jobs: which ones follow from a change, the outbox that holds them, the text of messages."""
