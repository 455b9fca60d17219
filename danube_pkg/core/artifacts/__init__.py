"""Artifacts: their record, names and ports."""
