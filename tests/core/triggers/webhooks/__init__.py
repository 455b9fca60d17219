"""Webhooks: recorded and documented deliveries, parsed, signed, and made into the seeds of a fuzz test."""
