"""Metrics as values, for receivers that they are sent to."""
